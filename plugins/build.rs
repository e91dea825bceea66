//! Plugins start for every container, on hosts of any distribution: a release is static.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    if var("PROFILE") == "release" && var("CARGO_CFG_TARGET_ENV") != "musl" {
        let arch = var("CARGO_CFG_TARGET_ARCH");
        println!(
            "cargo::error=plugins are released as static musl programs only: run `make build`, or \
             `cargo build --release --target {arch}-unknown-linux-musl -p plugins`"
        );
    }
}
