//! Compiles the next runtime to WebAssembly, in the folder in which the present one was compiled.

#[cfg(feature = "std")]
use std::{env, fs, io, path::Path};

fn main() {
    #[cfg(feature = "std")]
    {
        if let Err(error) = share_target() {
            println!("cargo:warning=the next runtime's dependencies are compiled a second time: {error}");
        }
        substrate_wasm_builder::WasmBuilder::build_using_defaults();
    }
}

/// Has this build use the target folder of the present runtime's. Profile, flags and lock file are the same, and so all that
/// both depend on is: it is compiled once. Cargo locks the folder, so that two builds at a time wait for each other.
#[cfg(feature = "std")]
fn share_target() -> io::Result<()> {
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    // <target folder>/<profile>/build/<package>-<hash>/out, beside which the builder makes <target folder>/<profile>/wbuild.
    let profile = Path::new(&out).ancestors().nth(3).ok_or_else(|| io::Error::other("OUT_DIR is not where it was"))?;
    let ours = profile.join("wbuild").join(env!("CARGO_PKG_NAME"));
    fs::create_dir_all(profile.join("wbuild/blyan-runtime/target"))?;
    fs::create_dir_all(&ours)?;
    let link = ours.join("target");
    if fs::symlink_metadata(&link).is_ok() {
        return Ok(());
    }
    #[cfg(unix)]
    return std::os::unix::fs::symlink("../blyan-runtime/target", link);
    #[cfg(not(unix))]
    return Err(io::Error::other("folders cannot be linked here"));
}
