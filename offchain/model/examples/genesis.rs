//! Prints a genesis model: its spec, the records of its blocks and its heads, as the chain spec holds them.
//!
//! ```text
//! genesis tiny                 > runtime/genesis/tiny.json
//! genesis MODEL.gguf           > runtime/genesis/smollm2-135m.json
//! genesis MODEL.gguf FOLDER    the same, and writes the serving blocks to FOLDER, each under its hash
//! ```

use blyan_model::{
    import::{ImportOptions, import_gguf},
    tiny,
};
use blyan_primitives::spec::Name;
use std::{env, error::Error, fs, path::PathBuf, time::Instant};

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut args = env::args_os().skip(1);
    let source = args.next().ok_or("usage: genesis tiny|MODEL.gguf [FOLDER]")?;
    let folder = args.next().map(PathBuf::from);
    if let Some(folder) = &folder {
        fs::create_dir_all(folder)?;
    }
    let genesis = if source == "tiny" {
        let model = tiny::build(tiny::GENESIS_SEED)?;
        if let Some(folder) = &folder {
            for block in &model.blocks {
                block.write_file(&folder.join(block.hash().to_string()))?;
            }
        }
        model.genesis
    } else {
        let options = ImportOptions::new(Name::new("smollm2-135m-moe").ok_or("bad name")?);
        let started = Instant::now();
        let mut store = |block: blyan_tensorblock::UnwrittenBlock<'static>| {
            if let Some(folder) = &folder {
                block.write_file(&folder.join(block.hash().to_string()))?;
            }
            Ok(())
        };
        let genesis = import_gguf(source.as_ref(), &options, &mut store, &mut |_| ())?;
        eprintln!("imported in {:.2} s", started.elapsed().as_secs_f64());
        genesis
    };
    println!("{}", serde_json::to_string_pretty(&genesis)?);
    Ok(())
}
