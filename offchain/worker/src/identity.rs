//! The worker's identity on the workers' network: a libp2p key of its own, beside the key that signs receipts.

use blyan_primitives::worker::PeerId;
use libp2p_identity::Keypair;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// File in the base folder that holds the key.
const FILE: &str = "peer.key";

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file could not be read or written.
    #[error("the identity file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no key.
    #[error("{} holds no libp2p key; restore it, or move it away to get a new identity", .0.display())]
    Damaged(PathBuf),
}

/// Reads the key in `folder`, or makes one.
pub fn load(folder: &Path) -> Result<Keypair, IdentityError> {
    let path = folder.join(FILE);
    let damaged = || IdentityError::Damaged(path.clone());
    match fs::read(&path) {
        Ok(bytes) => Keypair::from_protobuf_encoding(&bytes).map_err(|_| damaged()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let pair = Keypair::generate_ed25519();
            let bytes = pair.to_protobuf_encoding().map_err(|_| damaged())?;
            write_secret(&path, &bytes).map_err(|source| IdentityError::Io { path, source })?;
            Ok(pair)
        },
        Err(source) => Err(IdentityError::Io { path, source }),
    }
}

/// The peer id as it is registered on chain.
pub fn peer_id(pair: &Keypair) -> PeerId {
    // An ed25519 identity has 38 bytes.
    pair.public().to_peer_id().to_bytes().try_into().unwrap_or_default()
}

/// Writes a file that nobody else can read, so that it appears whole or not at all.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let part = path.with_extension("part");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_identity_is_kept_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = peer_id(&load(folder.path()).unwrap());
        assert_eq!(first, peer_id(&load(folder.path()).unwrap()));
        assert_eq!(&first[..2], &[0, 36]);
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(folder.path().join(FILE), b"damaged").unwrap();
        assert!(matches!(load(folder.path()), Err(IdentityError::Damaged(_))));
    }
}
