//! Telephone numbers as people write them: with a country's code, as in North America, with a trunk `0`.
//!
//! What parts a number from a machine's is how it is written, so that is what is looked at, and not
//! which numbers each country gives out.

use super::bytes::{at, before, is_word, part};
use super::numbers::{Group, Groups, is_called};

/// The end of the number in `groups`, if it is one to call.
pub(super) fn end(text: &[u8], groups: &Groups) -> Option<usize> {
    let list = groups.list();
    let first = list.first()?;
    let start = first.start - usize::from(groups.plus);
    if groups.plus {
        return abroad(text, groups, first.start);
    }
    let zeros = part(text, first.start, first.end).starts_with(b"00");
    if zeros && list.len() >= 2 && !is_behind_digits(text, start) {
        return abroad(text, groups, first.start + 2);
    }
    let usual = || {
        let trunk = || trunk(text, groups).filter(|_| !is_behind_digits(text, start));
        american(text, groups).or_else(trunk)
    };
    let called = || {
        let all: usize = list.iter().map(Group::len).sum();
        let fits = (7..=15).contains(&all) && !groups.goes_on && !is_dated(list);
        (fits && is_called(text, start)).then(|| list.last().map(|last| last.end))?
    };
    usual().or_else(called)
}

/// `2026-11-21`, `21.11.2026`.
fn is_dated(list: &[Group]) -> bool {
    let lengths: Vec<usize> = list.iter().take(3).map(Group::len).collect();
    matches!(lengths.as_slice(), [4, 2, 2] | [2, 2, 4])
}

/// With a country's code, whose digits begin at `start`.
fn abroad(text: &[u8], groups: &Groups, start: usize) -> Option<usize> {
    let code = code(part(text, start, start + 3))?;
    let list = groups.list();
    let exactly = matches!(code, 1 | 7).then_some(11);
    let skipped = start - list.first()?.start;
    let mut all = 0;
    let mut best = None;
    for (place, group) in list.iter().enumerate() {
        all += group.len() - if place == 0 { skipped } else { 0 };
        // `+44 (0)20 …`: the zero is not dialled from abroad.
        if group.len() == 1 && group.sign == b'(' && at(text, group.start) == b'0' {
            all -= 1;
        }
        let is_last = place + 1 == list.len();
        let fits = exactly.map_or((9..=15).contains(&all), |exactly| all == exactly);
        // Lines end here, and what is not written as one number stays: `+1234567 1234`.
        if fits && !(is_last && groups.goes_on) {
            best = Some(group.end);
        }
        if all >= 15 {
            break;
        }
    }
    let area = list.first().map(|group| {
        if group.len() - skipped > 1 {
            start + 1
        } else {
            list.get(1).map_or(start, |next| next.start)
        }
    })?;
    let is_area = code != 1 || matches!(at(text, area), b'2'..=b'9');
    best.filter(|_| is_area)
}

/// The country's code with which `digits` begin; of the longer ones only whether there may be one.
fn code(digits: &[u8]) -> Option<u32> {
    let head = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0u32, |head, byte| head * 10 + u32::from(byte - b'0'));
    let (one, two) = match at(digits, 0) {
        first @ (b'1' | b'7') => return Some(u32::from(first - b'0')),
        first => (
            u32::from(first.wrapping_sub(b'0')),
            u32::from(at(digits, 1).wrapping_sub(b'0')),
        ),
    };
    let is_two = matches!(
        one * 10 + two,
        20 | 27 | 30..=34 | 36 | 39..=41 | 43..=49 | 51..=58 | 60..=66 | 81 | 82 | 84 | 86 | 90..=95 | 98
    );
    let is_three = matches!(
        head,
        211..=213 | 216 | 218 | 220..=258 | 260..=269 | 290 | 291 | 297..=299 | 350..=359 | 370..=389 | 420 | 421 | 423
            | 500..=509 | 590..=599 | 670 | 672..=692 | 800 | 808 | 850 | 852 | 853 | 855 | 856 | 870 | 878 | 880..=883 | 886 | 888
            | 960..=968 | 970..=977 | 979 | 992..=996 | 998
    );
    (is_two || is_three).then_some(one * 10 + two)
}

/// `(415) 555-0123`, `415-555-0123`, `1.415.555.0123`.
fn american(text: &[u8], groups: &Groups) -> Option<usize> {
    let list = groups.list();
    let one = list
        .first()
        .is_some_and(|first| first.len() == 1 && at(text, first.start) == b'1');
    let list = if one { list.get(1..)? } else { list };
    let [area, exchange, line] = list else {
        return None;
    };
    let lengths = (area.len(), exchange.len(), line.len()) == (3, 3, 4);
    let is_head = |group: &Group| matches!(at(text, group.start), b'2'..=b'9');
    let is_framed = exchange.sign == b')'
        && matches!(line.sign, b'-' | b' ' | b'.')
        && (groups.paren || area.sign == b'(');
    let is_even = exchange.sign == line.sign
        && matches!(line.sign, b'-' | b'.')
        && (!one || area.sign == line.sign);
    (lengths && is_head(area) && is_head(exchange) && (is_framed || is_even) && !groups.goes_on)
        .then_some(line.end)
}

/// `030 901820`, `0171/1234567`, `06 12 34 56 78`, `(020) 7946 0958`.
fn trunk(text: &[u8], groups: &Groups) -> Option<usize> {
    let list = groups.list();
    let (first, rest) = list.split_first()?;
    let (second, last) = (rest.first()?, rest.last()?);
    let all: usize = list.iter().map(Group::len).sum();
    let begins = at(text, first.start) == b'0' && matches!(at(text, first.start + 1), b'1'..=b'9');
    let sign = second.sign;
    let is_even = rest.iter().skip(1).all(|group| {
        group.sign == sign || (matches!(sign, b'/' | b')') && matches!(group.sign, b' ' | b'-'))
    });
    // Bytes of a dump are pairs too, but more of them.
    let is_pairs = list.len() == 5
        && list.iter().all(|group| group.len() == 2)
        && !is_dumped(text, first.start, last.end);
    let is_parted = rest.len() <= 3
        && (2..=6).contains(&first.len())
        && rest.iter().all(|group| group.len() >= 3)
        && (9..=12).contains(&all)
        && sign != b'.';
    let is_dutch =
        first.len() == 2 && rest.len() == 1 && second.len() == 8 && matches!(sign, b'-' | b' ');
    (begins && is_even && (is_pairs || is_parted || is_dutch) && !groups.goes_on)
        .then_some(last.end)
}

/// Whether digits stand before, so that this is the middle of something.
fn is_behind_digits(text: &[u8], start: usize) -> bool {
    before(text, start) == b' ' && before(text, start.saturating_sub(1)).is_ascii_digit()
}

/// Whether another pair of hexadecimal digits stands before or behind.
fn is_dumped(text: &[u8], start: usize, end: usize) -> bool {
    let is_pair = |pair: &[u8]| pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
    let previous = start.saturating_sub(3);
    is_pair(part(text, end + 1, end + 3))
        || (is_pair(part(text, previous, start.saturating_sub(1)))
            && !is_word(before(text, previous)))
}
