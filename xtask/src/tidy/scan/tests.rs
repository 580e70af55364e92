//! Comments, literals, functions: what could be mistaken for another.

use super::{Function, functions, scan, words};

fn code(source: &str) -> Vec<String> {
    scan(source).code
}

fn lengths(source: &str) -> Vec<(String, usize, usize)> {
    let found = functions(&scan(source)).into_iter();
    found
        .map(|Function { name, line, lines }| (name, line, lines))
        .collect()
}

#[test]
fn comments_are_no_code_and_slashes_in_strings_no_comments() {
    let found = scan("let a = 1; // unsafe\nlet b = \"// not\"; /* x /* y */ z */ c();\n");
    assert_eq!(found.code, ["let a = 1; ", "let b = \"\";  c();", ""]);
    assert_eq!(found.comments, ["// unsafe", "/* x /* y */ z */", ""]);
}

#[test]
fn block_comments_and_strings_keep_their_lines() {
    assert_eq!(
        code("a /* 1\n2 */ b\n\"x\ny\" c"),
        ["a ", " b", "\"", "\" c"]
    );
}

#[test]
fn what_stands_in_literals_is_left_out() {
    assert_eq!(
        code(r##"f("a\"{", r#"b"{"#, br"c{", b'{', '\'', '"', '\u{41}', 'x')"##),
        [r##"f("", r#""#, br"", b'', '', '', '', '')"##]
    );
}

#[test]
fn lifetimes_and_raw_names_are_code() {
    assert_eq!(
        code("fn r#fn<'a>(a: &'a str, for_r: u8) {}"),
        ["fn r#fn<'a>(a: &'a str, for_r: u8) {}"]
    );
    assert_eq!(code("f::<'_, 'static>()"), ["f::<'_, 'static>()"]);
}

#[test]
fn a_function_goes_from_fn_to_its_closing_brace() {
    let source = "fn a() {\n    \"}\"; // }\n}\n\nfn b(\n    x: u32,\n) -> [u8; { 2 + 1 }]\nwhere\n    u8: Copy,\n{\n    {}\n}\n";
    assert_eq!(lengths(source), [("a".into(), 1, 3), ("b".into(), 5, 8)]);
}

#[test]
fn declarations_and_function_types_have_no_body() {
    assert_eq!(
        lengths("trait T {\n    fn a(&self);\n    fn b(&self) {}\n}\nstruct S(fn(u32) -> u32);\n"),
        [("b".into(), 3, 1)]
    );
}

#[test]
fn a_constant_expression_in_a_type_is_not_the_body() {
    assert_eq!(
        lengths("fn a(x: M<u8, { N as usize }>) -> M<u8, { 2 * N }> {\n}\n"),
        [("a".into(), 1, 2)]
    );
}

#[test]
fn nested_functions_are_found_too() {
    assert_eq!(
        lengths("fn a() {\n    fn b() {\n    }\n}\n"),
        [("a".into(), 1, 4), ("b".into(), 2, 2)]
    );
}

#[test]
fn words_are_whole() {
    assert_eq!(
        words("tokio::spawn(my_tokio)").collect::<Vec<_>>(),
        ["tokio", "spawn", "my_tokio"]
    );
}
