//! Takes Rust source apart: what is code, what is comment, where each function begins and ends.
//!
//! Not a parser: it knows comments, literals, brackets and the word `fn`, which is all that the rules ask.

/// A source, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Each line's code; what stands inside string and character literals is left out.
    pub code: Vec<String>,
    /// Each line's comment.
    pub comments: Vec<String>,
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// From there to its closing brace, both included.
    pub lines: usize,
}

/// Separates code from comments.
pub fn scan(source: &str) -> Scan {
    let mut scanner = Scanner {
        chars: source.chars().collect(),
        at: 0,
        scan: Scan {
            code: vec![String::new()],
            comments: vec![String::new()],
        },
    };
    while let Some(next) = scanner.peek(0) {
        scanner.step(next);
    }
    scanner.scan
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    scan: Scan,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn step(&mut self, next: char) {
        match (next, self.peek(1)) {
            ('/', Some('/')) => {
                while self.peek(0).is_some_and(|next| next != '\n') {
                    self.take(true);
                }
            }
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.string(),
            ('r', Some('"' | '#')) if !self.in_word() => self.raw_string(),
            ('\'', _) => self.quote(),
            _ => self.take(false),
        }
    }

    /// One character, into the code or the comment of its line.
    fn take(&mut self, comment: bool) {
        let Some(next) = self.peek(0) else { return };
        self.at += 1;
        if next == '\n' {
            self.scan.code.push(String::new());
            self.scan.comments.push(String::new());
            return;
        }
        let lines = match comment {
            true => &mut self.scan.comments,
            false => &mut self.scan.code,
        };
        if let Some(line) = lines.last_mut() {
            line.push(next);
        }
    }

    /// One character of a literal: only its line ends are kept.
    fn drop_one(&mut self) {
        match self.peek(0) {
            Some('\n') => self.take(false),
            _ => self.at += 1,
        }
    }

    /// Whether the character before belongs to the same word; `b` of `br"…"` does not count.
    fn in_word(&self) -> bool {
        let before = |back: usize| {
            self.at
                .checked_sub(back)
                .and_then(|at| self.chars.get(at).copied())
        };
        let is_word = |at: Option<char>| at.is_some_and(|at| at.is_alphanumeric() || at == '_');
        match before(1) {
            Some('b' | 'c') => is_word(before(2)),
            other => is_word(other),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while let Some(next) = self.peek(0) {
            let pair = (next, self.peek(1));
            if matches!(pair, ('/', Some('*')) | ('*', Some('/'))) {
                depth += if next == '/' { 1 } else { -1 };
                self.take(true);
            }
            self.take(true);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(false);
        while let Some(next) = self.peek(0) {
            match next {
                '"' => return self.take(false),
                '\\' => {
                    self.drop_one();
                    self.drop_one();
                }
                _ => self.drop_one(),
            }
        }
    }

    /// `r"…"` or `r#"…"#`; `r#name` is a word.
    fn raw_string(&mut self) {
        let hashes = (1..)
            .take_while(|ahead| self.peek(*ahead) == Some('#'))
            .count();
        if self.peek(1 + hashes) != Some('"') {
            return self.take(false);
        }
        (0..hashes + 2).for_each(|_| self.take(false));
        while let Some(next) = self.peek(0) {
            if next == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                return (0..=hashes).for_each(|_| self.take(false));
            }
            self.drop_one();
        }
    }

    /// A character literal is left out, a lifetime is code.
    fn quote(&mut self) {
        let escaped = self.peek(1) == Some('\\');
        if !escaped && self.peek(2) != Some('\'') {
            return self.take(false);
        }
        self.take(false);
        // The first character is the literal's even if it is a quote; an escape has at least two.
        (0..1 + usize::from(escaped)).for_each(|_| self.drop_one());
        while self.peek(0).is_some_and(|next| next != '\'') {
            self.drop_one();
        }
        self.take(false);
    }
}

/// The words of a line of code: names, keywords, numbers.
pub fn words(code: &str) -> impl Iterator<Item = &str> {
    let parts = code.split(|at: char| !at.is_alphanumeric() && at != '_');
    parts.filter(|word| !word.is_empty())
}

/// Every function that has a body, nested ones too.
pub fn functions(scan: &Scan) -> Vec<Function> {
    let tokens = tokens(scan);
    let mut found = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        let [(line, word), (_, name)] = pair else {
            continue;
        };
        if *word != "fn" || !name.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            continue;
        }
        let body = body_start(&tokens[index..]).map(|start| index + start);
        if let Some(end) = body.and_then(|start| closing(&tokens, start)) {
            found.push(Function {
                name: (*name).to_owned(),
                line: *line,
                lines: tokens[end].0 - line + 1,
            });
        }
    }
    found
}

/// Words and punctuation with their line; arrows are left out, so that `<` and `>` come in pairs.
fn tokens(scan: &Scan) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (index, line) in scan.code.iter().enumerate() {
        let mut rest = line.as_str();
        while let Some(first) = rest.chars().next() {
            let is_word = |at: char| at.is_alphanumeric() || at == '_';
            let length = match first {
                _ if rest.starts_with("->") || rest.starts_with("=>") => 2,
                first if is_word(first) => rest.find(|at| !is_word(at)).unwrap_or(rest.len()),
                first => first.len_utf8(),
            };
            if length != 2 || is_word(first) {
                tokens.push((index + 1, &rest[..length]));
            }
            rest = &rest[length..];
        }
    }
    tokens.retain(|(_, token)| !token.trim().is_empty());
    tokens
}

/// Where the body of the function at the first token begins: the first brace outside of brackets. None for a
/// declaration.
fn body_start(tokens: &[(usize, &str)]) -> Option<usize> {
    let mut open = 0_usize;
    for (index, (_, token)) in tokens.iter().enumerate() {
        match *token {
            "{" if open == 0 => return Some(index),
            ";" if open == 0 => return None,
            "(" | "[" | "<" | "{" => open += 1,
            ")" | "]" | ">" | "}" => open = open.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

fn closing(tokens: &[(usize, &str)], start: usize) -> Option<usize> {
    let mut open = 0_usize;
    for (index, (_, token)) in tokens.iter().enumerate().skip(start) {
        match *token {
            "{" => open += 1,
            "}" => open = open.checked_sub(1)?,
            _ => {}
        }
        if open == 0 {
            return Some(index);
        }
    }
    None
}

#[cfg(test)]
mod tests;
