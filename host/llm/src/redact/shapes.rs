//! Keys whose maker gave them a shape of their own, so that they can be recognized anywhere.
//!
//! Compared with the rules of gitleaks (github.com/gitleaks/gitleaks, b58d3f1), which has three
//! quarters of the prefixes; lengths are looser here, so that keys of a newer form are found. Its
//! rules without a prefix are left out: they take any word of hexadecimal near a vendor's name.

use super::bytes::{at, before, is_word, part, run};

/// Most bytes of a private key with its frame.
const LONGEST_KEY: usize = 16 * 1024;

/// How a frame ends.
const FOOT: &[u8] = b"-----END ";

/// A key that begins with `prefix`.
pub(super) struct Shape {
    pub(super) prefix: &'static str,
    body: fn(u8) -> bool,
    pub(super) least: usize,
    most: usize,
    /// Words of natural language have fewer.
    digits: usize,
}

const ANY: usize = usize::MAX;

const fn shape(prefix: &'static str, body: fn(u8) -> bool, least: usize, most: usize) -> Shape {
    Shape {
        prefix,
        body,
        least,
        most,
        digits: 0,
    }
}

const fn with_digits(shape: Shape, digits: usize) -> Shape {
    Shape { digits, ..shape }
}

fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn name(byte: u8) -> bool {
    alnum(byte) || matches!(byte, b'_' | b'-')
}

fn dotted(byte: u8) -> bool {
    name(byte) || byte == b'.'
}

fn base64(byte: u8) -> bool {
    alnum(byte) || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
}

/// The shapes; a test says that each is found.
pub(super) static SHAPES: &[Shape] = &[
    // AWS: the key's id.
    shape("AKIA", upper, 16, 16),
    shape("ASIA", upper, 16, 16),
    shape("ABIA", upper, 16, 16),
    shape("ACCA", upper, 16, 16),
    // Alibaba.
    with_digits(shape("LTAI", alnum, 12, 20), 1),
    // GitHub.
    shape("ghp_", alnum, 30, ANY),
    shape("gho_", alnum, 30, ANY),
    shape("ghu_", alnum, 30, ANY),
    shape("ghs_", alnum, 30, ANY),
    shape("ghr_", alnum, 30, ANY),
    shape("github_pat_", name, 22, ANY),
    // GitLab.
    shape("glpat-", dotted, 20, ANY),
    shape("gldt-", name, 20, ANY),
    shape("glrt-", name, 20, ANY),
    shape("glcbt-", name, 20, ANY),
    shape("glptt-", name, 20, ANY),
    shape("glagent-", name, 20, ANY),
    shape("glsoat-", name, 20, ANY),
    shape("gloas-", name, 20, ANY),
    // Slack, Discord.
    shape("xoxa-", name, 10, ANY),
    shape("xoxb-", name, 10, ANY),
    shape("xoxe.", dotted, 10, ANY),
    shape("xoxe-", name, 10, ANY),
    shape("xoxp-", name, 10, ANY),
    shape("xoxr-", name, 10, ANY),
    shape("xoxs-", name, 10, ANY),
    shape("xapp-", name, 10, ANY),
    shape("hooks.slack.com/services/", base64, 30, ANY),
    shape("discord.com/api/webhooks/", base64, 40, ANY),
    // Stripe.
    shape("sk_live_", alnum, 10, ANY),
    shape("sk_test_", alnum, 10, ANY),
    shape("rk_live_", alnum, 10, ANY),
    shape("rk_test_", alnum, 10, ANY),
    shape("whsec_", base64, 24, ANY),
    // Makers of models: sk-, sk-ant-, sk-proj-, sk-or-v1-, …
    with_digits(shape("sk-", name, 20, ANY), 3),
    with_digits(shape("csk-", name, 20, ANY), 3),
    with_digits(shape("xai-", alnum, 40, ANY), 3),
    with_digits(shape("gsk_", alnum, 40, ANY), 3),
    with_digits(shape("nvapi-", name, 40, ANY), 3),
    with_digits(shape("pplx-", alnum, 40, ANY), 3),
    with_digits(shape("r8_", alnum, 30, ANY), 3),
    with_digits(shape("hf_", alnum, 30, ANY), 1),
    // Google.
    shape("AIza", name, 35, 35),
    shape("ya29.", dotted, 20, ANY),
    shape("GOCSPX-", name, 20, ANY),
    // Registries of packages and images.
    shape("npm_", alnum, 36, 36),
    shape("pypi-AgE", name, 50, ANY),
    shape("rubygems_", hex, 48, 48),
    shape("dckr_pat_", name, 20, ANY),
    shape("AKCp", alnum, 60, ANY),
    // Clouds and their tools.
    shape("dop_v1_", hex, 64, 64),
    shape("doo_v1_", hex, 64, 64),
    shape("dor_v1_", hex, 64, 64),
    shape("dapi", hex, 32, 34),
    shape("hvs.", name, 24, ANY),
    shape("hvb.", name, 24, ANY),
    shape("fo1_", name, 40, ANY),
    shape("fm2_", base64, 60, ANY),
    shape("tskey-", name, 20, ANY),
    shape("pscale_tkn_", dotted, 32, ANY),
    shape("pscale_pw_", dotted, 32, ANY),
    shape("AGE-SECRET-KEY-1", upper, 58, 58),
    shape("ops_eyJ", base64, 200, ANY),
    // What watches.
    shape("glsa_", name, 30, ANY),
    shape("glc_", base64, 32, ANY),
    shape("NRAK-", alnum, 27, 27),
    shape("sntrys_", base64, 40, ANY),
    shape("sntryu_", hex, 64, 64),
    // Others.
    shape("SG.", dotted, 60, 70),
    with_digits(shape("key-", hex, 32, 32), 1),
    shape("shpat_", hex, 32, 32),
    shape("shpca_", hex, 32, 32),
    shape("shppa_", hex, 32, 32),
    shape("shpss_", hex, 32, 32),
    shape("lin_api_", alnum, 40, 40),
    with_digits(shape("ntn_", alnum, 40, ANY), 3),
    shape("PMAK-", name, 50, ANY),
    shape("ATATT3", base64, 100, ANY),
    shape("ATCTT3", base64, 100, ANY),
    shape("sq0atp-", name, 22, ANY),
    shape("sq0csp-", name, 40, ANY),
    shape("figd_", name, 30, ANY),
];

impl Shape {
    /// Where the key that begins at `start` ends, if there is one.
    pub(super) fn end(&self, text: &[u8], start: usize) -> Option<usize> {
        let body = start + self.prefix.len();
        let previous = before(text, start);
        // Also what makes one pass enough: within a run only the first place is looked at.
        let begins = !is_word(previous) && previous != b'-' && !(self.body)(previous);
        // A webhook's address has a path before it, and a host name before that.
        let begins = begins || (self.prefix.contains('/') && previous == b'/');
        if !begins || part(text, start, body) != self.prefix.as_bytes() {
            return None;
        }
        let end = run(text, body, self.most.saturating_add(1), self.body);
        let end = end - usize::from(before(text, end) == b'.');
        let key = part(text, body, end);
        let digits = || key.iter().filter(|byte| byte.is_ascii_digit()).count();
        let fits = (self.least..=self.most).contains(&key.len());
        (fits && !is_word(at(text, end)) && digits() >= self.digits).then_some(end)
    }
}

/// The end of the JSON web token at `start`: two parts that begin like JSON, and a signature.
pub(super) fn jwt(text: &[u8], start: usize) -> Option<usize> {
    let previous = before(text, start);
    if is_word(previous)
        || matches!(previous, b'-' | b'.')
        || part(text, start, start + 3) != b"eyJ"
    {
        return None;
    }
    let head = run(text, start, ANY, name);
    if head - start < 15 || part(text, head, head + 4) != b".eyJ" {
        return None;
    }
    let claims = run(text, head + 1, ANY, name);
    // Encrypted ones have more parts; a signature may be missing in one that was cut.
    let end = run(text, claims, ANY, dotted);
    Some(end - usize::from(before(text, end) == b'.'))
}

/// The end of a Telegram bot's token, whose `:AA` is at `colon`, and its beginning.
pub(super) fn telegram(text: &[u8], colon: usize) -> Option<(usize, usize)> {
    let start = super::bytes::run_back(text, colon, 11, |byte| byte.is_ascii_digit());
    let end = run(text, colon + 1, 64, name);
    let fits = (8..=10).contains(&(colon - start)) && end - colon == 36;
    (fits && part(text, colon, colon + 3) == b":AA" && !is_word(before(text, start)))
        .then_some((start, end))
}

/// What a frame such as `-----BEGIN …-----` holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A private key, until here.
    Private(usize),
    /// A certificate or a public key, until here: random to look at, and no secret.
    Public(usize),
}

/// What is framed at `start`, where `-----BEGIN ` is. Before `footless` no frame ends, which is kept
/// from one to the next, so that many beginnings are not each looked through.
pub(super) fn frame(text: &[u8], start: usize, footless: &mut usize) -> Option<Frame> {
    let title = start + "-----BEGIN ".len();
    let title_end = run(text, title, 48, |byte| {
        byte.is_ascii_uppercase() || matches!(byte, b' ' | b'0'..=b'9')
    });
    if part(text, title_end, title_end + 5) != b"-----" {
        return None;
    }
    let is_private = part(text, title, title_end)
        .windows(7)
        .any(|word| word == b"PRIVATE");
    let body = title_end + 5;
    let most = text.len().min(body + LONGEST_KEY);
    let from = body.max(*footless);
    let foot = part(text, from, most)
        .windows(FOOT.len())
        .position(|word| word == FOOT)
        .map(|foot| from + foot);
    if foot.is_none() {
        *footless = from.max(most.saturating_sub(FOOT.len()));
    }
    let end = match foot {
        Some(foot) => {
            let name = foot + FOOT.len();
            let name_end = run(text, name, 48, |byte| byte != b'-' && byte != b'\n');
            run(text, name_end, 5, |byte| byte == b'-')
        }
        // Cut off: what looks like the key goes. `\n` stands for lines in JSON.
        None => run(text, body, LONGEST_KEY, |byte| {
            base64(byte) || matches!(byte, b'\n' | b'\r' | b'\\')
        }),
    };
    Some(if is_private {
        Frame::Private(end)
    } else {
        Frame::Public(end)
    })
}
