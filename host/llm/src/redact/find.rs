//! One look at a text for all that is to be taken out of it.
//!
//! Two passes, each linear: an automaton over everything that gives a secret away, and a walk over
//! the words for numbers and for words of chance. Rules look at a bounded stretch around a hit, or
//! read a stretch that no later hit reads again.

use super::address::{bearer, email, ips, option, password};
use super::bytes::{before, is_word};
use super::entropy::{self, is_random};
use super::kind::{Find, Kind, settle};
use super::labels::{self, assigned, is_secret_under};
use super::numbers::{account, is_called, number};
use super::shapes::{self, Frame, SHAPES, Shape};
use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Most looks at a text in which something was found.
const MOST_LOOKS: usize = 4;

/// What a hit of the automaton begins.
#[derive(Clone, Copy)]
enum Rule {
    Shape(&'static Shape),
    Jwt,
    Telegram,
    Frame,
    Label,
    Scheme(&'static str),
    Address,
    Option,
    At,
}

/// The automaton with its rules; built once.
pub(super) struct Finder {
    needles: Option<AhoCorasick>,
    rules: Vec<Rule>,
    ip: bool,
}

impl Finder {
    pub(super) fn new(ip: bool) -> Self {
        let mut needles: Vec<&'static str> = Vec::new();
        let mut rules = Vec::new();
        let mut add = |needle, rule| {
            needles.push(needle);
            rules.push(rule);
        };
        SHAPES
            .iter()
            .for_each(|shape| add(shape.prefix, Rule::Shape(shape)));
        labels::NEEDLES
            .iter()
            .for_each(|needle| add(needle, Rule::Label));
        for scheme in ["bearer ", "basic ", "token "] {
            add(scheme, Rule::Scheme(scheme));
        }
        add("eyJ", Rule::Jwt);
        add(":AA", Rule::Telegram);
        add("-----BEGIN ", Rule::Frame);
        add("://", Rule::Address);
        add(" -u ", Rule::Option);
        add("@", Rule::At);
        // It cannot fail for so few needles; without it numbers are still found.
        let needles = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&needles)
            .inspect_err(|error| tracing::error!(%error, "secrets in prompts cannot be looked for"))
            .ok();
        Self { needles, rules, ip }
    }

    /// What is to be taken out of `text`, in order and without overlaps. `name` is what the text is
    /// called in JSON.
    pub(super) fn find(&self, name: Option<&str>, text: &str) -> Vec<Find> {
        let mut finds = self.look(name, text);
        // What stood against a find may be one itself, now that a placeholder is between.
        for _ in 0..MOST_LOOKS {
            let hidden = match finds.first() {
                Some(_) => self.hidden(name, text, &finds),
                None => break,
            };
            if hidden.is_empty() {
                break;
            }
            finds.extend(hidden);
            settle(&mut finds);
        }
        finds
    }

    fn look(&self, name: Option<&str>, text: &str) -> Vec<Find> {
        let mut finds = Vec::new();
        let mut public = Vec::new();
        if let Some(name) = name {
            under(name, text, &mut finds);
        }
        self.hits(text, &mut finds, &mut public);
        words(text.as_bytes(), &public, &mut finds);
        if self.ip {
            ips(text.as_bytes(), |start, end| {
                finds.push(Find::new(start, end, Kind::Ip));
            });
        }
        settle(&mut finds);
        finds
    }

    /// What another look at `text` finds once `finds` are out of it.
    fn hidden(&self, name: Option<&str>, text: &str, finds: &[Find]) -> Vec<Find> {
        let mut masked = String::with_capacity(text.len());
        // Where what is left begins: there, and here.
        let mut pieces = Vec::with_capacity(finds.len() + 1);
        let mut done = 0;
        for find in finds {
            pieces.push((masked.len(), done));
            masked.push_str(text.get(done..find.start).unwrap_or_default());
            masked.push('[');
            masked.push_str(find.kind.word());
            masked.push_str("_1]");
            done = find.end;
        }
        pieces.push((masked.len(), done));
        masked.push_str(text.get(done..).unwrap_or_default());
        let here = |place: usize| {
            let next = pieces.partition_point(|(there, _)| *there <= place);
            let (there, here) = pieces.get(next.checked_sub(1)?)?;
            Some(here + (place - there))
        };
        let looked = self.look(name, &masked).into_iter();
        let found = looked.filter_map(|find| {
            let start = here(find.start)?;
            let end = start + (find.end - find.start);
            // A find that reaches over a placeholder is none.
            let is_free = finds
                .get(finds.partition_point(|other| other.end <= start))
                .is_none_or(|next| end <= next.start);
            is_free.then(|| Find::new(start, end, find.kind))
        });
        found.collect()
    }

    fn hits(&self, text: &str, finds: &mut Vec<Find>, public: &mut Vec<(usize, usize)>) {
        let bytes = text.as_bytes();
        let Some(needles) = &self.needles else {
            return;
        };
        // Before these nothing is looked at again: by any rule, and for names.
        let (mut open, mut named, mut footless) = (0, 0, 0);
        for hit in needles.find_overlapping_iter(bytes) {
            let at = hit.start();
            let Some(rule) = self
                .rules
                .get(hit.pattern().as_usize())
                .filter(|_| at >= open)
            else {
                continue;
            };
            let secret = match rule {
                Rule::Shape(shape) => shape.end(bytes, at).map(|end| (at, end)),
                Rule::Jwt => shapes::jwt(bytes, at).map(|end| (at, end)),
                Rule::Telegram => shapes::telegram(bytes, at),
                Rule::Frame => match shapes::frame(bytes, at, &mut footless) {
                    Some(Frame::Private(end)) => Some((at, end)),
                    Some(Frame::Public(end)) => {
                        public.push((at, end));
                        open = end;
                        None
                    }
                    None => None,
                },
                Rule::Label if at < named => None,
                Rule::Label => {
                    let (end, secret) = assigned(bytes, at);
                    named = end;
                    secret
                }
                Rule::Scheme(scheme) => bearer(bytes, at, scheme),
                Rule::Address => password(bytes, at),
                Rule::Option => option(bytes, at),
                Rule::At => {
                    let email = email(text, at);
                    finds.extend(email.map(|(start, end)| Find::new(start, end, Kind::Email)));
                    None
                }
            };
            if let Some((start, end)) = secret.filter(|(start, end)| start < end) {
                finds.push(Find::new(start, end, Kind::Secret));
                open = end;
            }
        }
    }
}

/// What `name` alone says of `text`.
fn under(name: &str, text: &str, finds: &mut Vec<Find>) {
    if let Some((start, end)) = is_secret_under(name.as_bytes(), text) {
        finds.push(Find::new(start, end, Kind::Secret));
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_number = |byte: u8| {
        byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+')
    };
    if text.len() <= 24
        && (7..=15).contains(&digits)
        && text.bytes().all(is_number)
        && is_called(name.as_bytes(), name.len())
    {
        finds.push(Find::new(0, text.len(), Kind::Phone));
    }
}

const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DIGIT: u8 = 4;
const SIGN: u8 = 8;

/// What each byte is in a word; 0 parts words.
static CLASSES: [u8; 256] = classes();

#[allow(
    clippy::indexing_slicing,
    reason = "in a constant: it would not compile"
)]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            b'_' | b'+' | b'/' | b'-' => SIGN,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

/// Looks at each word for numbers, and for what chance made.
fn words(text: &[u8], public: &[(usize, usize)], finds: &mut Vec<Find>) {
    let class = |byte: &u8| CLASSES.get(usize::from(*byte)).copied().unwrap_or(0);
    let mut bytes = text.iter().enumerate();
    // What is found reaches over later words.
    let mut open = 0;
    while let Some((start, first)) = bytes.next() {
        let begins = class(first);
        if begins == 0 {
            continue;
        }
        let mut all = begins;
        let mut end = text.len();
        for (place, byte) in bytes.by_ref() {
            let class = class(byte);
            if class == 0 {
                end = place;
                break;
            }
            all |= class;
        }
        if all & DIGIT == 0 || start < open {
            continue;
        }
        let found = if all & (LOWER | UPPER) == 0 && (begins == DIGIT || *first == b'+') {
            number(text, start)
        } else if begins == UPPER {
            account(text, start).map(|end| Find::new(start, end, Kind::Iban))
        } else {
            None
        };
        let is_mixed =
            all & (LOWER | UPPER | DIGIT) == LOWER | UPPER | DIGIT && end - start >= entropy::LEAST;
        let found = found.or_else(|| {
            let is_public = || {
                public
                    .iter()
                    .any(|(from, to)| (*from..*to).contains(&start))
            };
            let random = is_mixed
                && !is_word(before(text, start))
                && is_random(text, start, end)
                && !is_public();
            // With the signs that fill it up.
            let filled = super::bytes::run(text, end, 2, |byte| byte == b'=');
            random.then(|| Find::new(start, filled, Kind::Secret))
        });
        if let Some(found) = found {
            open = found.end;
            finds.push(found);
        }
    }
}
