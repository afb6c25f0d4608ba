//! What `plugin new` writes is embedded: a new file there must be noticed as well as a changed one.

fn main() {
    for folder in ["../../sdk", "../../wit"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
