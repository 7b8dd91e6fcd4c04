//! Parameters by name, with PyOD's names and defaults.
//!
//! `parameters!` makes the struct of a detector, its defaults and the way from text to its fields of one list, so a parameter is a
//! line.

use super::contract::Error;

/// Fields set by name.
pub trait ByName {
    /// Sets the parameter `name` to what `value` says.
    ///
    /// # Errors
    /// If there is no such parameter, or it cannot have that value.
    fn set(&mut self, name: &str, value: &str) -> Result<(), Error>;
}

/// What a parameter may be.
pub(crate) trait Value: Sized {
    /// What is wanted, in words.
    const WANTED: &'static str;
    /// `None` if `text` says no such value.
    fn read(text: &str) -> Option<Self>;
}

impl Value for usize {
    const WANTED: &'static str = "a whole number from 1 up";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|v| *v > 0)
    }
}

impl Value for u64 {
    const WANTED: &'static str = "a whole number";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Value for f64 {
    const WANTED: &'static str = "a number above 0";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0)
    }
}

impl Value for bool {
    const WANTED: &'static str = "true or false";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Reads a value, or says what was wanted.
pub(crate) fn read<T: Value>(name: &'static str, text: &str) -> Result<T, Error> {
    T::read(text).ok_or_else(|| Error::Parameter { name, value: text.to_owned(), wanted: T::WANTED })
}

/// A detector's struct of parameters with defaults, each of which can be set by its name.
macro_rules! parameters {
    ($(#[$about:meta])* $name:ident {}) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name;

        impl $crate::outlier::parameters::ByName for $name {
            fn set(&mut self, name: &str, _: &str) -> Result<(), $crate::outlier::contract::Error> {
                Err($crate::outlier::contract::Error::UnknownParameter { name: name.to_owned(), known: &[] })
            }
        }
    };
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $field:ident: $kind:ty = $default:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name { $($(#[$what])* pub(crate) $field: $kind,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::outlier::parameters::ByName for $name {
            fn set(&mut self, name: &str, value: &str) -> Result<(), $crate::outlier::contract::Error> {
                match name {
                    $(stringify!($field) => self.$field = $crate::outlier::parameters::read(stringify!($field), value)?,)*
                    _ => return Err($crate::outlier::contract::Error::UnknownParameter {
                        name: name.to_owned(),
                        known: &[$(stringify!($field)),*],
                    }),
                }
                Ok(())
            }
        }
    };
}

/// An enum whose values have names.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident: $wanted:literal { $($(#[$what:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$what])* $value,)* }

        impl $crate::outlier::parameters::Value for $name {
            const WANTED: &'static str = $wanted;
            fn read(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$value),)* _ => None }
            }
        }
    };
}

pub(crate) use {choice, parameters};
