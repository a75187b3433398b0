//! The secret key that a worker or a person signs with.

use crate::AccountId;
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};
use subxt_signer::{ExposeSecret, SecretUri, sr25519};

/// Longest key file that is read, in bytes: a mnemonic of 24 words with derivation and password is far shorter.
const MAX_KEY_FILE: u64 = 4096;

/// Why a key could not be loaded. No variant holds any part of the secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no secret URI, or its phrase has a wrong word or checksum.
    #[error("the key is neither a mnemonic, nor a 0x-prefixed seed of 32 bytes, nor a derivation such as //Alice")]
    Malformed,
    /// The environment variable is not there.
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    /// The environment variable is not text.
    #[error("the environment variable {0} is not UTF-8 text")]
    NotText(String),
    /// The file could not be read.
    #[error("reading the key file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Others than the owner can read the file.
    #[error("the key file {} can be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is longer than any key.
    #[error("{} is too long to be a key file", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Where a secret key comes from.
#[derive(Clone)]
pub enum KeySource {
    /// A secret URI: a mnemonic, a `0x` seed of 32 bytes, or `//Name`, each with optional derivation and password.
    Uri(String),
    /// An environment variable that holds a secret URI.
    Env(String),
    /// A file that holds a secret URI and that nobody but its owner can read.
    File(PathBuf),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(_) => f.write_str("Uri(…)"),
            Self::Env(name) => write!(f, "Env({name})"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// An sr25519 key pair. Cloning shares nothing with the outside; printing shows the account only.
#[derive(Clone)]
pub struct Key {
    pair: sr25519::Keypair,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.account())
    }
}

impl Key {
    /// Loads a key.
    ///
    /// # Errors
    /// Named by [`KeyError`]; none shows any part of the secret.
    pub fn load(source: &KeySource) -> Result<Self, KeyError> {
        match source {
            KeySource::Uri(text) => Self::from_uri(text),
            KeySource::Env(name) => match std::env::var(name) {
                Ok(text) => Self::from_uri(&text),
                Err(std::env::VarError::NotPresent) => Err(KeyError::NoVariable(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => Err(KeyError::NotText(name.clone())),
            },
            KeySource::File(path) => Self::from_file(path),
        }
    }

    /// The key of a secret URI.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn from_uri(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        // An empty secret URI stands for the public development phrase: a blank file or variable must not become a key.
        if text.is_empty() {
            return Err(KeyError::Malformed);
        }
        let uri = SecretUri::from_str(text).map_err(|_| KeyError::Malformed)?;
        let pair = sr25519::Keypair::from_uri(&uri).map_err(|_| KeyError::Malformed)?;
        Ok(Self { pair })
    }

    /// The key in a file.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`], [`KeyError::Permissions`] when group or others have any right to the file,
    /// [`KeyError::TooLong`], [`KeyError::Malformed`].
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        use std::io::Read;
        let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        // Rights are read from the open file: nobody can swap it in between.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Permissions { path: path.to_owned(), mode });
            }
        }
        if metadata.len() > MAX_KEY_FILE {
            return Err(KeyError::TooLong { path: path.to_owned() });
        }
        let mut text = String::new();
        file.take(MAX_KEY_FILE).read_to_string(&mut text).map_err(unreadable)?;
        Self::from_uri(&text)
    }

    /// Whether `text` derives from the development phrase that everybody knows: such keys own nothing of value.
    pub fn is_development(text: &str) -> bool {
        SecretUri::from_str(text.trim()).is_ok_and(|uri| uri.phrase.expose_secret().trim() == subxt_signer::DEV_PHRASE)
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.pair.public_key().0
    }

    /// The account that the key controls.
    pub fn account(&self) -> AccountId {
        AccountId::from(self.public())
    }

    /// Signs in the `substrate` context, as the runtime verifies.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).0
    }
}

/// Whether `signature` over `message` was made by the secret key of `public`, in the `substrate` context.
pub fn verify(signature: &[u8; 64], message: &[u8], public: &[u8; 32]) -> bool {
    sr25519::verify(&sr25519::Signature(*signature), message, &sr25519::PublicKey(*public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const MNEMONIC: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

    #[test]
    fn every_form_of_secret_names_the_account_that_substrate_derives() {
        let alice = Key::from_uri("//Alice").unwrap();
        assert_eq!(alice.account().to_string(), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
        assert_eq!(Key::from_uri(&format!("{MNEMONIC}//Alice\n")).unwrap().public(), alice.public());
        let seed = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
        assert_eq!(Key::from_uri(seed).unwrap().public(), alice.public());
    }

    #[test]
    fn signatures_verify_only_over_their_message_and_key() {
        let (alice, bob) = (Key::from_uri("//Alice").unwrap(), Key::from_uri("//Bob").unwrap());
        let signature = alice.sign(b"message");
        assert!(verify(&signature, b"message", &alice.public()));
        assert!(!verify(&signature, b"massage", &alice.public()));
        assert!(!verify(&signature, b"message", &bob.public()));
    }

    #[test]
    fn nothing_that_is_printed_holds_the_secret() {
        let source = KeySource::Uri(MNEMONIC.into());
        let key = Key::load(&source).unwrap();
        let error = Key::from_uri("bottom drive obey").unwrap_err();
        for text in [format!("{source:?}"), format!("{key:?}"), format!("{error:?} {error}")] {
            assert!(!text.contains("bottom"), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "//Alice").unwrap();
        let chmod = |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let load = || Key::load(&KeySource::File(file.path().to_owned()));
        chmod(0o600);
        assert_eq!(load().unwrap().public(), Key::from_uri("//Alice").unwrap().public());
        for mode in [0o640, 0o604, 0o644] {
            chmod(mode);
            assert!(matches!(load(), Err(KeyError::Permissions { mode: found, .. }) if found == mode));
        }
    }

    #[test]
    fn malformed_secrets_are_refused() {
        for text in ["", "0x12", "not a mnemonic at all", "0x"] {
            assert!(matches!(Key::from_uri(text), Err(KeyError::Malformed)), "{text:?}");
        }
        assert!(matches!(Key::load(&KeySource::Env("BLYAN_NO_SUCH_KEY".into())), Err(KeyError::NoVariable(_))));
    }

    #[test]
    fn development_keys_are_recognised() {
        assert!(Key::is_development("//Alice"));
        assert!(Key::is_development(&format!("{MNEMONIC}//Worker//1")));
        assert!(!Key::is_development("0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a"));
    }
}
