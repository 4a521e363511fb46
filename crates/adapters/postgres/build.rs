//! A new migration is embedded without a change of the source beside it.

fn main() {
    println!("cargo::rerun-if-changed=../../../migrations");
}
