//! Numbers in groups: cards, account numbers and telephones, told from the many numbers of machines.

use super::bytes::{at, before, is_word, part, run, run_back};
use super::kind::{Find, Kind};
use super::phone;
use iban::Iban;

/// Most groups of digits that are looked at together.
const GROUPS: usize = 8;

/// Digits with what stands before them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What parts it from the group before: ` `, `-`, `.`, `/`, and `(` or `)` with or without a space.
    pub(super) sign: u8,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// Groups of digits that stand together.
#[derive(Debug, Default)]
pub(super) struct Groups {
    list: [Group; GROUPS],
    count: usize,
    /// A `+` stands before the first.
    pub(super) plus: bool,
    /// A `(` stands before the first.
    pub(super) paren: bool,
    /// Something goes on behind the last.
    pub(super) goes_on: bool,
}

impl Groups {
    pub(super) fn list(&self) -> &[Group] {
        self.list.get(..self.count).unwrap_or_default()
    }
}

/// The number that begins at `start`, where a `+` or the first digit is.
pub(super) fn number(text: &[u8], start: usize) -> Option<Find> {
    let previous = before(text, start);
    let behind = before(text, start.saturating_sub(1));
    let is_inside = is_word(previous)
        || matches!(previous, b']' | b'#' | b'@')
        || (matches!(previous, b'.' | b',' | b':' | b'-' | b'/' | b'+' | b'%')
            && is_word(behind)
            && !(previous == b':' && behind.is_ascii_alphabetic()));
    if is_inside || !has_digits(text, start) {
        return None;
    }
    let groups = gather(text, start);
    let card = || {
        card(text, groups.list())
            .filter(|_| !groups.plus)
            .map(|end| Find::new(start, end, Kind::Card))
    };
    card().or_else(|| {
        phone::end(text, &groups)
            .map(|end| Find::new(start - usize::from(is_framed(&groups)), end, Kind::Phone))
    })
}

/// Whether the first group stands in parentheses of its own.
fn is_framed(groups: &Groups) -> bool {
    groups.paren && groups.list().get(1).is_some_and(|group| group.sign == b')')
}

/// Most numbers are short: seven digits are the least of all.
fn has_digits(text: &[u8], start: usize) -> bool {
    let mut digits = 0;
    let mut signs = 0;
    for byte in part(text, start, text.len().min(start + 24)) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                signs = 0;
            }
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+' | 0xC2 | 0xA0 if signs < 3 => signs += 1,
            _ => break,
        }
        if digits >= 7 {
            return true;
        }
    }
    false
}

fn gather(text: &[u8], start: usize) -> Groups {
    let mut groups = Groups {
        plus: at(text, start) == b'+',
        paren: before(text, start) == b'(',
        ..Groups::default()
    };
    let mut place = start + usize::from(groups.plus);
    let mut sign = 0;
    let mut end = place;
    while let Some(slot) = groups.list.get_mut(groups.count) {
        let digits = run(text, place, 24, |byte| byte.is_ascii_digit());
        if digits == place {
            break;
        }
        *slot = Group {
            start: place,
            end: digits,
            sign,
        };
        groups.count += 1;
        end = digits;
        (sign, place) = match (at(text, digits), at(text, digits + 1)) {
            (b')', b' ' | b'-' | b'/') => (b')', digits + 2),
            (b' ', b'(') | (b')', b'(') => (b'(', digits + 2),
            (b'(' | b')', _) => (at(text, digits), digits + 1),
            (0xC2, 0xA0) => (b' ', digits + 2),
            (byte @ (b' ' | b'-' | b'.' | b'/'), _) => (byte, digits + 1),
            _ => break,
        };
    }
    let (next, after) = (at(text, end), at(text, end + 1));
    groups.goes_on = is_word(next)
        || next == b'['
        || (matches!(next, b'.' | b',' | b':' | b'-' | b'/' | b'+' | b'%') && is_word(after));
    groups
}

/// The end of the card number that these groups begin with.
fn card(text: &[u8], groups: &[Group]) -> Option<usize> {
    let first = groups.first()?;
    let last = match first.len() {
        13..=19 => first,
        4 => {
            let lengths = |wanted: &[usize]| {
                let signs = groups
                    .get(1)
                    .map(|group| group.sign)
                    .filter(|sign| matches!(sign, b' ' | b'-'))?;
                let given = groups.get(..wanted.len())?;
                let fits = given
                    .iter()
                    .zip(wanted)
                    .all(|(group, wanted)| group.len() == *wanted);
                (fits && given.iter().skip(1).all(|group| group.sign == signs))
                    .then(|| given.last())?
            };
            lengths(&[4, 4, 4, 4])
                .or_else(|| lengths(&[4, 6, 5]))
                .or_else(|| lengths(&[4, 6, 4]))?
        }
        _ => return None,
    };
    let end = last.end;
    let next = at(text, end);
    let goes_on = is_word(next)
        || next == b'['
        || (matches!(next, b'.' | b'-' | b':') && at(text, end + 1).is_ascii_digit());
    let digits: Vec<u8> = part(text, first.start, end)
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|byte| byte - b'0')
        .collect();
    (!goes_on && is_issued(&digits) && checks(&digits)).then_some(end)
}

/// Whether a network of cards gives out numbers that begin so and are so long.
fn is_issued(digits: &[u8]) -> bool {
    let head = digits
        .iter()
        .take(4)
        .fold(0u32, |head, digit| head * 10 + u32::from(*digit));
    let lengths: &[usize] = match head {
        4000..=4999 => &[13, 16, 19],
        5100..=5599 | 2221..=2720 => &[16],
        3400..=3499 | 3700..=3799 => &[15],
        3000..=3059 | 3600..=3699 | 3800..=3999 => &[14, 16],
        3528..=3589 | 6011 | 6440..=6599 | 6200..=6299 => &[16, 17, 18, 19],
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => &[16, 18, 19],
        2200..=2204 => &[16],
        _ => &[],
    };
    lengths.contains(&digits.len())
}

/// Luhn's check digit.
fn checks(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(digit, twice)| {
            let digit = u32::from(*digit) * if twice { 2 } else { 1 };
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The account number that begins at `start`, in one word or in groups of four.
pub(super) fn account(text: &[u8], start: usize) -> Option<usize> {
    let head = part(text, start, start + 4);
    let [b'A'..=b'Z', b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'] = head else {
        return None;
    };
    if is_word(before(text, start)) {
        return None;
    }
    let mut number = String::new();
    let mut place = start;
    let mut longest = None;
    while number.len() <= 34 {
        let end = run(text, place, 35, |byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit()
        });
        number.push_str(std::str::from_utf8(part(text, place, end)).ok()?);
        let is_full = end - place == 4;
        if end > place
            && !is_word(at(text, end))
            && at(text, end) != b'['
            && number.parse::<Iban>().is_ok()
        {
            longest = Some(end);
        }
        if !is_full || !matches!(at(text, end), b' ' | b'-') {
            break;
        }
        place = end + 1;
    }
    longest
}

/// Whether the words before `start` say that a telephone's number follows.
pub(super) fn is_called(text: &[u8], start: usize) -> bool {
    const NAMES: [&[u8]; 13] = [
        b"tel",
        b"phone",
        b"telephone",
        b"telefon",
        b"mobile",
        b"mobil",
        b"handy",
        b"fax",
        b"sms",
        b"whatsapp",
        b"msisdn",
        b"phones",
        b"cellphone",
    ];
    let mut end = start;
    for _ in 0..2 {
        end = run_back(text, end, 4, |byte| {
            matches!(
                byte,
                b' ' | b':' | b'=' | b'"' | b'\'' | b'.' | b'_' | b'-' | b'(' | b'+' | b'\\'
            )
        });
        let word = run_back(text, end, 12, |byte| byte.is_ascii_alphabetic());
        let name = part(text, word, end).to_ascii_lowercase();
        if NAMES.contains(&name.as_slice()) {
            return true;
        }
        // `phone number: …`, `tel. nr …`
        if !matches!(
            name.as_slice(),
            b"number" | b"no" | b"nr" | b"num" | b"nummer" | b"is" | b"e"
        ) {
            return false;
        }
        end = word;
    }
    false
}
