//! Built-in functions of Rego that make much out of little, in forms that cannot; and those that
//! would not say the same twice, which are taken away.

use anyhow::{Result, bail};
use regorus::{Engine, Value};
use std::fmt::Write as _;

/// The most bytes of a text that a function makes.
const MAX_TEXT: usize = 64 * 1024;
/// The most entries of a list that a function makes.
const MAX_LIST: usize = 10_000;

/// Puts the bounded forms in the place of the built-in ones.
///
/// # Errors
/// When the engine refuses one.
pub fn register(engine: &mut Engine) -> Result<()> {
    let mut add = |name: &str, arguments: u8, function: fn(&[Value]) -> Result<Value>| {
        let call = move |given: Vec<Value>| function(&given);
        engine.add_extension(name.to_owned(), arguments, Box::new(call))
    };
    add("concat", 2, concat)?;
    add("replace", 3, replace)?;
    add("sprintf", 2, sprintf)?;
    add("array.concat", 2, array_concat)?;
    add("numbers.range", 2, range)?;
    for (name, arguments) in [
        ("numbers.range_step", 3),
        ("product", 1),
        ("strings.replace_n", 2),
        ("bits.lsh", 2),
        ("json.marshal_with_options", 2),
        ("rand.intn", 2),
    ] {
        add(name, arguments, |_| {
            bail!("this function is not there for policies")
        })?;
    }
    Ok(())
}

fn text(value: Option<&Value>) -> Result<&str> {
    match value {
        Some(Value::String(text)) => Ok(text),
        _ => bail!("expected a text"),
    }
}

fn within(length: usize) -> Result<()> {
    if length > MAX_TEXT {
        bail!("the text would have more than {MAX_TEXT} bytes");
    }
    Ok(())
}

fn concat(given: &[Value]) -> Result<Value> {
    let between = text(given.first())?;
    let parts: Vec<&str> = match given.get(1) {
        Some(Value::Array(parts)) => parts.iter().map(|p| text(Some(p))).collect::<Result<_>>()?,
        Some(Value::Set(parts)) => parts.iter().map(|p| text(Some(p))).collect::<Result<_>>()?,
        _ => bail!("expected a list or set of texts"),
    };
    let inner: usize = parts.iter().map(|part| part.len()).sum();
    within(inner + between.len() * parts.len().saturating_sub(1))?;
    Ok(Value::from(parts.join(between)))
}

fn replace(given: &[Value]) -> Result<Value> {
    let (whole, old, new) = (
        text(given.first())?,
        text(given.get(1))?,
        text(given.get(2))?,
    );
    within(whole.len() + new.len() * whole.matches(old).count())?;
    Ok(Value::from(whole.replace(old, new)))
}

/// `%s`, `%v` and `%d`, without widths: each takes one value as it is; `%%` is a percent sign.
fn sprintf(given: &[Value]) -> Result<Value> {
    let format = text(given.first())?;
    let Some(Value::Array(values)) = given.get(1) else {
        bail!("expected a list of values");
    };
    let mut values = values.iter();
    let mut made = String::new();
    let mut signs = format.chars();
    while let Some(sign) = signs.next() {
        match (sign, if sign == '%' { signs.next() } else { None }) {
            ('%', Some('%')) => made.push('%'),
            ('%', Some('s' | 'v' | 'd')) => match values.next() {
                Some(Value::String(text)) => made.push_str(text),
                Some(value) => write!(made, "{value}")?,
                None => bail!("more is asked for than the list has"),
            },
            ('%', _) => bail!("`%` must be followed by s, v, d or %"),
            _ => made.push(sign),
        }
        within(made.len())?;
    }
    Ok(Value::from(made))
}

fn array_concat(given: &[Value]) -> Result<Value> {
    let (Some(Value::Array(a)), Some(Value::Array(b))) = (given.first(), given.get(1)) else {
        bail!("expected two lists");
    };
    if a.len() + b.len() > MAX_LIST {
        bail!("the list would have more than {MAX_LIST} entries");
    }
    let both: Vec<Value> = a.iter().chain(b.iter()).cloned().collect();
    Ok(Value::from(both))
}

fn range(given: &[Value]) -> Result<Value> {
    let number = |at: usize| given.get(at).and_then(|value| value.as_i64().ok());
    let (Some(from), Some(to)) = (number(0), number(1)) else {
        bail!("expected two whole numbers");
    };
    if from.abs_diff(to) >= MAX_LIST as u64 {
        bail!("the list would have more than {MAX_LIST} entries");
    }
    let upwards = from.min(to)..=from.max(to);
    let numbers: Vec<Value> = if from <= to {
        upwards.map(Value::from).collect()
    } else {
        upwards.rev().map(Value::from).collect()
    };
    Ok(Value::from(numbers))
}
