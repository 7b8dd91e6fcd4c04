//! Which files of a crate know which: no two know each other, neither directly nor by way of
//! others.
//!
//! The files are read as text. An import is followed through re-exports to the file that defines what it names, so that
//! `use crate::Error` is an import of `error.rs` and not of `lib.rs`. Tests are free to know everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module by its names from the root of its crate.
type Module = Vec<String>;

/// The sources of one crate by module, as they are without comments and tests.
struct Sources(BTreeMap<Module, String>);

/// One `use`: the path, and the name that it gives to its end.
#[derive(Debug, PartialEq)]
struct Import {
    path: Vec<String>,
    name: String,
}

fn words(path: &str) -> Vec<String> {
    path.split("::").map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect()
}

/// The paths of `a::{b, c::{d as e}}`.
fn expand(before: &[String], text: &str, out: &mut Vec<Import>) {
    let Some(open) = text.find('{') else {
        let (path, name) = text.split_once(" as ").map_or((text, None), |(path, name)| (path, Some(name)));
        let mut path = [before, &words(path)].concat();
        if path.last().is_some_and(|w| w == "self") {
            path.pop();
        }
        let name = name.map(|n| n.trim().to_owned()).or_else(|| path.last().cloned()).unwrap_or_default();
        return out.push(Import { path, name });
    };
    let before = [before, &words(&text[..open])].concat();
    let inside = &text[open + 1..text.rfind('}').unwrap_or(text.len())];
    let (mut depth, mut from) = (0, 0);
    for (i, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inside[from..i].trim();
                if !part.is_empty() {
                    expand(&before, part, out);
                }
                from = i + 1;
            }
            _ => {}
        }
    }
}

/// Cuts what is for tests only, and comments.
fn code(text: &str) -> String {
    let text = text.split("\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|l| l.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The imports of a text, and the text without them.
fn imports(code: &str) -> (Vec<Import>, String) {
    let (mut out, mut rest) = (vec![], String::new());
    let mut statement: Option<String> = None;
    for line in code.lines() {
        let begins = line.trim_start();
        let begins = begins.strip_prefix("pub(crate) ").or(begins.strip_prefix("pub(super) ")).unwrap_or(begins);
        let begins = begins.strip_prefix("pub ").unwrap_or(begins);
        if statement.is_none() && begins.starts_with("use ") {
            // In a module within the file, `super` is the file.
            let inside = line.starts_with(' ') && begins.starts_with("use super::");
            statement = Some(begins[if inside { "use super::" } else { "use " }.len()..].to_owned());
        } else if let Some(open) = &mut statement {
            *open += line;
        } else {
            rest += line;
            rest.push('\n');
        }
        if let Some(whole) = statement.take_if(|s| s.trim_end().ends_with(';')) {
            expand(&[], whole.trim_end().trim_end_matches(';'), &mut out);
        }
    }
    (out, rest)
}

/// The paths of a text: words joined by `::`.
fn paths(code: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let paths = code.split(move |c| !is_path(c)).filter(|p| p.contains("::") && !p.starts_with("::")).map(words);
    // `pub(in super::super)` imports nothing.
    paths.filter(|path| path.iter().any(|word| word != "super"))
}

impl Sources {
    fn read(folder: &Path) -> Self {
        let mut files = vec![];
        crate::structure::sources(folder, &mut files);
        let module = |file: &Path| -> Module {
            let inside = file.strip_prefix(folder).unwrap().with_extension("");
            let mut names: Module = inside.iter().map(|n| n.to_str().unwrap().to_owned()).collect();
            if names.last().is_some_and(|n| matches!(n.as_str(), "mod" | "lib" | "main")) {
                names.pop();
            }
            names
        };
        let is_for_tests =
            |file: &Path| file.file_name().is_some_and(|n| n == "tests.rs") || file.iter().any(|n| n == "bin");
        let files = files.iter().filter(|f| !is_for_tests(f));
        Self(files.map(|f| (module(f), code(&std::fs::read_to_string(f).unwrap()))).collect())
    }

    /// The file that defines what `path` names in `module`; `None` if another crate does.
    fn file_of(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let parent = || module[..module.len().saturating_sub(1)].to_vec();
        let mut whole = match first.as_str() {
            "crate" => rest.to_vec(),
            "self" => [module.as_slice(), rest].concat(),
            "super" => {
                let up = parent();
                // `super::super`
                match rest.first().is_some_and(|w| w == "super") {
                    true => return self.file_of(&up, rest, depth),
                    false => [up.as_slice(), rest].concat(),
                }
            }
            child if self.0.contains_key(&[module.as_slice(), &[child.to_owned()]].concat()) => {
                [module.as_slice(), path].concat()
            }
            _ => return None,
        };
        let mut inside = vec![];
        while !self.0.contains_key(&whole) {
            inside.insert(0, whole.pop()?);
        }
        // Through a re-export to where it is defined.
        if let Some(name) = inside.first().filter(|_| depth < 8) {
            let exported = imports(&self.0[&whole]).0.into_iter().find(|import| import.name == *name);
            if let Some(found) =
                exported.and_then(|e| self.file_of(&whole, &[&e.path, &inside[1..]].concat(), depth + 1))
            {
                return Some(found);
            }
        }
        Some(whole)
    }

    /// Of each file, those that it knows.
    fn edges(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let known = |module: &Module, text: &String| {
            let (imports, rest) = imports(text);
            let named = imports.into_iter().map(|i| i.path).chain(paths(&rest));
            let mut known: BTreeSet<Module> = named.filter_map(|path| self.file_of(module, &path, 0)).collect();
            known.remove(module);
            known
        };
        self.0.iter().map(|(module, text)| (module.clone(), known(module, text))).collect()
    }
}

/// Those that can be reached from themselves, with the way.
fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let mut found: BTreeMap<BTreeSet<&Module>, String> = BTreeMap::new();
    for start in edges.keys() {
        let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for next in edges.get(at).into_iter().flatten() {
                if next == start {
                    let mut way = vec![at];
                    while let Some(before) = came_from.get(way[way.len() - 1]) {
                        way.push(before);
                    }
                    way.reverse();
                    let name = |m: &&Module| if m.is_empty() { "the root".to_owned() } else { m.join("::") };
                    let text: Vec<String> = way.iter().chain([&start]).map(name).collect();
                    found.entry(way.into_iter().collect()).or_insert_with(|| text.join(" -> "));
                } else if !came_from.contains_key(next) {
                    came_from.insert(next, at);
                    open.push(next);
                }
            }
        }
    }
    found.into_values().collect()
}

/// The rooms of a crate are the folders and files at its root: edges between those.
fn rooms(edges: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeMap<Module, BTreeSet<Module>> {
    let room = |module: &Module| module[..module.len().min(1)].to_vec();
    let mut out: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, known) in edges {
        let known = known.iter().map(&room).filter(|to| *to != room(from));
        out.entry(room(from)).or_default().extend(known);
    }
    out
}

#[test]
fn no_two_files_and_no_two_rooms_know_each_other() {
    let root = crate::structure::root();
    let (mut n_files, mut found) = (0, vec![]);
    for library in crate::structure::LIBRARIES.iter().chain(&["datasets", ""]) {
        let sources = Sources::read(&root.join(library).join("src"));
        n_files += sources.0.len();
        let edges = sources.edges();
        let all = circles(&edges).into_iter().map(|c| ("files", c));
        let all = all.chain(circles(&rooms(&edges)).into_iter().map(|c| ("rooms", c)));
        found.extend(all.map(|(what, circle)| format!("{what} of {library}: {circle}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(n_files > 200, "{n_files} files were looked at");
}

#[test]
fn a_circle_is_found_whatever_the_way_it_takes() {
    let sources = |files: &[(&str, &str)]| {
        Sources(files.iter().map(|(module, text)| (words(module), code(text))).collect()).edges()
    };
    let cases: [(&[(&str, &str)], bool); 8] = [
        (&[("a", "use crate::b::B;"), ("b", "use crate::{c, a::A};")], true),
        (&[("a", "use crate::b::B;"), ("b", "fn f() { crate::a::f() }")], true),
        (&[("", "pub use a::A;"), ("a", "use crate::b::B;"), ("b", "use crate::A;")], true),
        (&[("a", "use self::b::B;"), ("a::b", "use super::{\n    A,\n};")], true),
        (&[("a", "use crate::b::B;"), ("b", "// use crate::a::A;\nuse std::fmt;")], false),
        (&[("a", "mod b;\nmod c;\npub use b::B;"), ("a::b", ""), ("a::c", "use super::B;")], false),
        (&[("a", "use self::b::B;"), ("a::b", "mod x {\n    use super::A;\n}")], false),
        (&[("a", "use crate::b::B;"), ("b", "\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}")], false),
    ];
    for (files, circular) in cases {
        assert_eq!(!circles(&sources(files)).is_empty(), circular, "{files:?}");
    }
    // Two files of two rooms, each of which knows another of the other's.
    let rooms = rooms(&sources(&[
        ("a::x", "use crate::b::y::Y;"),
        ("a::z", ""),
        ("b::y", ""),
        ("b::w", "use crate::a::z::Z;"),
    ]));
    assert_eq!(circles(&rooms), ["a -> b -> a"]);
}
