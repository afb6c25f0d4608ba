# What the scripts share: the root, what they say, and what they need. Sourced, not run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() {
    printf '==> %s\n' "$*" >&2
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need PROGRAM HINT: ends with the hint unless the program is there.
need() {
    command -v "$1" >/dev/null 2>&1 || fail "$1 is missing. $2"
}

# As root, or through sudo where there is one.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        need sudo "This needs root: run as root: $*"
        sudo "$@"
    fi
}

# The toolchain. rustup comes first where it lives but is not on the PATH of this shell yet.
need_rust() {
    if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    need cargo "Install Rust with rustup: https://rustup.rs"
    need cc "Install a C compiler and linker: apt-get install gcc libc6-dev"
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
    have=$(rustc --version | cut -d ' ' -f 2)
    if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then
        fail "rustc $have is too old: this needs $wanted or newer. Run: rustup update stable"
    fi
}

# cargo, without its last line, so that a build with nothing to do says nothing.
quiet_cargo() {
    local colour=never
    if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
        colour=always
    fi
    CARGO_TERM_COLOR=$colour cargo "$@" 2>&1 | { grep --line-buffered -v ' Finished .* profile' || true; } >&2
}
