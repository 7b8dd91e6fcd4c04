#[test] fn t(){}
mod report;
