//! What of a text of Rego can be told before it is parsed: how deep its brackets go, and how much
//! it multiplies. The parser takes twice as long for each bracket more, and no limit of time stops
//! numbers that are squared again and again.

/// The deepest brackets.
const MAX_DEPTH: usize = 10;
/// The most multiplications.
const MAX_PRODUCTS: usize = 16;

/// Whether the text can be parsed and run in a time that can be foreseen.
///
/// # Errors
/// What there is too much of, and where.
pub fn check(text: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    let mut products = 0_usize;
    for (number, line) in (1..).zip(without_strings(text).lines()) {
        for sign in line.chars() {
            match sign {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                '*' => products += 1,
                _ => {}
            }
            if depth > MAX_DEPTH {
                return Err(format!(
                    "line {number}: brackets within brackets are {MAX_DEPTH} deep at most: name a part of it"
                ));
            }
            if products > MAX_PRODUCTS {
                return Err(format!(
                    "line {number}: there are {MAX_PRODUCTS} multiplications at most"
                ));
            }
        }
    }
    Ok(())
}

/// The text with its strings and comments left out, and all its lines.
fn without_strings(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        let end = match sign {
            '"' | '`' => sign,
            '#' => '\n',
            _ => {
                left.push(sign);
                continue;
            }
        };
        while let Some(inner) = signs.next() {
            if inner == '\\' && end == '"' {
                signs.next();
                continue;
            }
            if inner == '\n' {
                left.push('\n');
            }
            if inner == end {
                break;
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_do_not_count() {
        assert!(
            check("a := \"[[[[[[[[[[[[[[\\\"[[\" # ((((((((((((((\nb := `{{{{{{{{{{{{{{`").is_ok()
        );
        assert!(check(&"[".repeat(10)).is_ok());
        let why = check(&format!("\n# x\n{}", "[".repeat(11))).unwrap_err();
        assert!(why.contains("line 3"), "{why}");
        assert!(check(&"[]".repeat(1_000)).is_ok());
        assert!(check(&"x * ".repeat(17)).is_err());
        assert!(check("\"").is_ok() && check("\"\\").is_ok());
    }

    #[test]
    fn the_shipped_rules_pass() {
        assert_eq!(check(super::super::SHIPPED), Ok(()));
    }
}
