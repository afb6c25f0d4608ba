//! What is taken out of a prompt, and where it was seen.

/// What something is; the first in order wins where two overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Secret,
    Email,
    Iban,
    Card,
    Phone,
    Ip,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Secret,
        Self::Email,
        Self::Iban,
        Self::Card,
        Self::Phone,
        Self::Ip,
    ];

    /// As counts name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Phone => "phone",
            Self::Ip => "ip",
        }
    }

    /// As placeholders name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Email => "EMAIL",
            Self::Iban => "IBAN",
            Self::Card => "CARD",
            Self::Phone => "PHONE",
            Self::Ip => "IP",
        }
    }
}

/// Bytes of a text that are to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Find {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
}

impl Find {
    pub(super) fn new(start: usize, end: usize, kind: Kind) -> Self {
        Self { start, end, kind }
    }
}

/// In order and without overlaps: of two of a kind the union is left, else the kind that wins.
pub(super) fn settle(finds: &mut Vec<Find>) {
    finds.sort_by_key(|find| (find.start, find.kind));
    let mut kept: Vec<Find> = Vec::with_capacity(finds.len());
    for find in finds.drain(..) {
        match kept.last_mut() {
            Some(last) if find.start < last.end => {
                if find.kind == last.kind {
                    last.end = last.end.max(find.end);
                } else if find.kind < last.kind {
                    *last = find;
                }
            }
            _ => kept.push(find),
        }
    }
    *finds = kept;
}
