//! Configuration: defaults, then a TOML file, then the environment, then flags; later wins.

use crate::hardware;
use blyan_primitives::{
    hardware::HardwareProfile,
    worker::{Region, Roles},
};
use clap::Parser;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

/// What is wrong with a configuration, and where it was read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named by `--config` cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML of the known keys.
    #[error("the configuration file {path} is not understood: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value is out of its bounds or contradicts another.
    #[error("{option}: {reason}")]
    Value {
        /// The option's name on the command line.
        option: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

fn invalid<T>(option: &'static str, reason: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Value { option, reason: reason.into() })
}

/// Serves a Blyan model over HTTP and anchors a receipt of every answer on chain.
///
/// The worker follows the finalized blocks of a node, fetches the blocks of weights that the active model
/// specification names (each tile is verified against the chain as it arrives), answers requests over an
/// OpenAI-compatible API, and puts the Merkle root of its receipts on chain.
///
/// Example, beside a development node:
///
///   blyan-worker --rpc ws://127.0.0.1:9944 --base-path ~/.local/share/blyan/worker --key //Alice
///
/// Every option can stand in a TOML file (--config; keys are the long names with `_` for `-`), in the environment
/// (BLYAN_WORKER_ and the name in capitals) and on the command line; the later wins. --print-config shows the result.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "blyan-worker", version, verbatim_doc_comment)]
pub struct Cli {
    /// TOML file with any of the options below.
    #[arg(long, env = "BLYAN_WORKER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the resulting configuration as TOML, without secrets, and exit.
    #[arg(long)]
    pub print_config: bool,
    /// The options that a file may hold too.
    #[command(flatten)]
    pub options: Options,
}

macro_rules! options {
    ($($(#[$doc:meta])* $(@[$($arg:tt)*])? $name:ident: $type:ty, $env:literal;)*) => {
        /// One layer of the configuration: what it does not set, a lower layer or the default decides.
        #[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Options {
            $(
                $(#[$doc])*
                #[arg(long, env = $env $(, $($arg)*)?)]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )*
        }

        impl Options {
            /// `self` where it says something, else `lower`.
            pub fn over(self, lower: Self) -> Self {
                Self { $($name: self.$name.or(lower.$name),)* }
            }
        }
    };
}

options! {
    /// WebSocket address of a node's RPC [default: ws://127.0.0.1:9944]
    @[value_name = "URL"]
    rpc: String, "BLYAN_WORKER_RPC";
    /// Folder of everything the worker keeps: receipts, identity, and the block store [default: blyan-worker]
    @[value_name = "DIR"]
    base_path: PathBuf, "BLYAN_WORKER_BASE_PATH";
    /// Folder of the block store [default: <base-path>/store]
    @[value_name = "DIR"]
    store: PathBuf, "BLYAN_WORKER_STORE";
    /// Most bytes of blocks that the store keeps beside those in use; 0 keeps all [default: 0]
    @[value_name = "BYTES"]
    store_capacity: u64, "BLYAN_WORKER_STORE_CAPACITY";
    /// The worker's sr25519 key: a secret URI (phrase, 0x-seed or //Dev) or a file that holds one [required]
    @[value_name = "URI|FILE", hide_env_values = true]
    key: String, "BLYAN_WORKER_KEY";
    /// Address to answer HTTP on; port 0 takes a free one and prints it [default: 127.0.0.1:8645]
    @[value_name = "ADDR"]
    http_listen: SocketAddr, "BLYAN_WORKER_HTTP_LISTEN";
    /// Base URL under which others reach the HTTP address, https:// where a proxy adds TLS; registered on chain
    /// [default: http://<http-listen>]
    @[value_name = "URL"]
    public_url: String, "BLYAN_WORKER_PUBLIC_URL";
    /// Base URLs of workers to fetch missing blocks from, separated by commas
    @[value_delimiter = ',', value_name = "URL"]
    peers: Vec<String>, "BLYAN_WORKER_PEERS";
    /// What the worker does, separated by commas: serve has the model's blocks for others, gateway answers requests, train
    /// lets the account submit deltas, which this worker serves, evaluate measures others' deltas (with a bond: `blyan stake
    /// worker`), aggregate publishes new heads [default: serve,gateway]
    @[value_delimiter = ',', value_name = "ROLE"]
    roles: Vec<String>, "BLYAN_WORKER_ROLES";
    /// Threads for the model [default: all]
    @[value_name = "N"]
    threads: usize, "BLYAN_WORKER_THREADS";
    /// Spec to serve instead of the newest active one, as 0x…
    @[value_name = "ID"]
    spec: String, "BLYAN_WORKER_SPEC";
    /// Price of 1000 tokens, prompt and answer, in the smallest unit of BLY; 0 serves for free [default: 0]
    @[value_name = "UNITS"]
    price: u128, "BLYAN_WORKER_PRICE";
    /// Anchor as soon as this many receipts wait [default: 64]
    @[value_name = "N"]
    anchor_every: u32, "BLYAN_WORKER_ANCHOR_EVERY";
    /// Anchor whatever waits after this many seconds [default: 30]
    @[value_name = "SECONDS"]
    anchor_interval: u64, "BLYAN_WORKER_ANCHOR_INTERVAL";
    /// Days to keep receipts after they were anchored; 0 keeps all [default: 90]
    @[value_name = "DAYS"]
    receipt_days: u32, "BLYAN_WORKER_RECEIPT_DAYS";
    /// Redeem a channel's voucher once this much of it is not redeemed yet [default: price of a million tokens]
    @[value_name = "UNITS"]
    redeem_above: u128, "BLYAN_WORKER_REDEEM_ABOVE";
    /// Requests that may wait for a place in the batch; further ones get 429 [default: 64]
    @[value_name = "N"]
    max_queue: usize, "BLYAN_WORKER_MAX_QUEUE";
    /// Answers computed side by side [default: 8]
    @[value_name = "N"]
    max_batch: usize, "BLYAN_WORKER_MAX_BATCH";
    /// Most bytes of a request's body [default: 1048576]
    @[value_name = "BYTES"]
    max_body: usize, "BLYAN_WORKER_MAX_BODY";
    /// Most tokens of one answer, and what a chat gets that names no limit [default: 1024]
    @[value_name = "N"]
    max_tokens: u32, "BLYAN_WORKER_MAX_TOKENS";
    /// Connections that may fetch blocks at the same time [default: 16]
    @[value_name = "N"]
    max_uploads: usize, "BLYAN_WORKER_MAX_UPLOADS";
    /// Requests a minute that one address may make; 0 is no limit [default: 0]
    @[value_name = "N"]
    rate_limit: u32, "BLYAN_WORKER_RATE_LIMIT";
    /// Bearer tokens that may ask for answers, separated by commas; none admits everybody
    @[value_delimiter = ',', value_name = "KEY", hide_env_values = true]
    api_key: Vec<String>, "BLYAN_WORKER_API_KEY";
    /// File with a bearer token a line
    @[value_name = "FILE"]
    api_key_file: PathBuf, "BLYAN_WORKER_API_KEY_FILE";
    /// Seconds that running answers get after SIGTERM [default: 60]
    @[value_name = "SECONDS"]
    drain_timeout: u64, "BLYAN_WORKER_DRAIN_TIMEOUT";
    /// Where the machine stands, an ISO 3166 code such as DE or US-CA [default: ZZ, unknown]
    @[value_name = "CODE"]
    region: String, "BLYAN_WORKER_REGION";
    /// GPU memory to register, in MiB [default: 0]
    @[value_name = "MIB"]
    vram_mib: u32, "BLYAN_WORKER_VRAM_MIB";
    /// GPU arithmetic to register, in TFLOPS at half precision [default: 0]
    @[value_name = "TFLOPS"]
    tflops: u32, "BLYAN_WORKER_TFLOPS";
    /// Bandwidth between host and GPU to register, in GB/s [default: 0]
    @[value_name = "GBPS"]
    pcie_gbps: u32, "BLYAN_WORKER_PCIE_GBPS";
    /// Main memory to register, in MiB [default: detected]
    @[value_name = "MIB"]
    ram_mib: u32, "BLYAN_WORKER_RAM_MIB";
    /// Hardware threads to register [default: detected]
    @[value_name = "N"]
    cpu_threads: u16, "BLYAN_WORKER_CPU_THREADS";
    /// Logs as a JSON object a line [default: false]
    @[num_args = 0..=1, default_missing_value = "true", value_name = "BOOL"]
    log_json: bool, "BLYAN_WORKER_LOG_JSON";
}

/// The configuration, complete and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// WebSocket address of a node.
    pub rpc: String,
    /// Folder of everything the worker keeps.
    pub base_path: PathBuf,
    /// Folder of the block store.
    pub store: PathBuf,
    /// Most bytes of blocks in the store beside those in use.
    pub store_capacity: Option<u64>,
    /// Secret URI or file.
    pub key: String,
    /// Where HTTP is answered.
    pub http_listen: SocketAddr,
    /// Where others reach it.
    pub public_url: Option<String>,
    /// Base URLs of workers to fetch blocks from, without a slash at the end.
    pub peers: Vec<String>,
    /// What the worker does.
    pub roles: Roles,
    /// Threads for the model.
    pub threads: usize,
    /// Spec to serve instead of the newest active one.
    pub spec: Option<blyan_primitives::ids::SpecId>,
    /// Price of 1000 tokens in the smallest unit of BLY.
    pub price: u128,
    /// Receipts that make a batch at once.
    pub anchor_every: NonZeroU32,
    /// How long a receipt waits for a batch.
    pub anchor_interval: Duration,
    /// How long anchored receipts are kept.
    pub receipt_retention: Option<Duration>,
    /// Unredeemed amount from which a voucher is redeemed.
    pub redeem_above: u128,
    /// Requests that may wait.
    pub max_queue: usize,
    /// Answers computed side by side.
    pub max_batch: usize,
    /// Most bytes of a request's body.
    pub max_body: usize,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// Connections that may fetch blocks at the same time.
    pub max_uploads: usize,
    /// Requests a minute that one address may make.
    pub rate_limit: Option<NonZeroU32>,
    /// Bearer tokens that may ask for answers; empty admits everybody.
    pub api_keys: Vec<String>,
    /// Time that running answers get at the end.
    pub drain_timeout: Duration,
    /// Region to register.
    pub region: Region,
    /// Hardware to register.
    pub hardware: HardwareProfile,
    /// Whether logs are JSON.
    pub log_json: bool,
}

impl Cli {
    /// Reads the file, if one is named, and puts environment and flags over it.
    pub fn layers(self) -> Result<Options, ConfigError> {
        let file = match &self.config {
            Some(path) => read_file(path)?,
            None => Options::default(),
        };
        Ok(self.options.over(file))
    }
}

fn read_file(path: &Path) -> Result<Options, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })
}

fn bounded<T: PartialOrd + std::fmt::Display + Copy>(
    option: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, ConfigError> {
    if range.contains(&value) {
        return Ok(value);
    }
    invalid(option, format!("{value} is not between {} and {}", range.start(), range.end()))
}

/// The roles that this program knows, by their names.
const ROLES: [(&str, Roles); 5] = [
    ("serve", Roles::SERVE),
    ("gateway", Roles::GATEWAY),
    ("train", Roles::TRAIN),
    ("evaluate", Roles::EVALUATE),
    ("aggregate", Roles::AGGREGATE),
];

fn roles(names: &[String]) -> Result<Roles, ConfigError> {
    let known = ROLES.map(|(name, _)| name).join(", ");
    let mut roles = Roles::default();
    for name in names.iter().map(|name| name.trim()) {
        let Some((_, role)) = ROLES.iter().find(|(known, _)| *known == name) else {
            return invalid("--roles", format!("{name:?} is not a role of this worker: {known}"));
        };
        roles = roles.union(*role);
    }
    if !roles.is_valid() {
        return invalid("--roles", format!("name at least one of {known}"));
    }
    Ok(roles)
}

/// A base URL with one of `schemes`, without a slash at the end.
fn base_url(option: &'static str, schemes: &[&str], url: &str) -> Result<String, ConfigError> {
    let url = url.trim().trim_end_matches('/');
    let host = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() && url.parse::<axum::http::Uri>().is_ok() => Ok(url.to_owned()),
        _ => {
            let forms: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}host:port")).collect();
            invalid(option, format!("{url:?} is not a base URL of the form {}", forms.join(" or ")))
        },
    }
}

impl Options {
    /// Fills in defaults and checks every bound.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let base_path = self.base_path.unwrap_or_else(|| "blyan-worker".into());
        let price = self.price.unwrap_or(0);
        let detected = hardware::detect();
        let hardware = HardwareProfile {
            vram_mib: self.vram_mib.unwrap_or(detected.vram_mib),
            tflops: self.tflops.unwrap_or(detected.tflops),
            pcie_gbps: self.pcie_gbps.unwrap_or(detected.pcie_gbps),
            ram_mib: self.ram_mib.unwrap_or(detected.ram_mib),
            cpu_threads: self.cpu_threads.unwrap_or(detected.cpu_threads),
        };
        let rpc = self.rpc.unwrap_or_else(|| "ws://127.0.0.1:9944".into());
        if !rpc.starts_with("ws://") && !rpc.starts_with("wss://") {
            return invalid("--rpc", format!("{rpc:?} is not a WebSocket address: ws://host:port"));
        }
        let Some(key) = self.key else {
            return invalid("--key", "the worker needs a key: a secret URI, or a file that holds one");
        };
        let mut api_keys: Vec<String> = self.api_key.unwrap_or_default();
        if let Some(path) = &self.api_key_file {
            let text =
                std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
            api_keys.extend(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()));
        }
        if api_keys.iter().any(|key| !key.bytes().all(|b| b.is_ascii_graphic()) || key.len() < 8) {
            return invalid("--api-key", "a key is shorter than 8 characters or not printable ASCII");
        }
        let spec = match &self.spec {
            None => None,
            Some(text) => match text.parse() {
                Ok(id) => Some(id),
                Err(error) => return invalid("--spec", format!("{text:?}: {error}")),
            },
        };
        let region = self.region.as_deref().unwrap_or("ZZ");
        let Some(region) = Region::new(region) else {
            return invalid("--region", format!("{region:?} is not an ISO 3166 code such as DE or US-CA"));
        };
        let anchor_every = self.anchor_every.unwrap_or(64);
        let anchor_every = bounded("--anchor-every", anchor_every, 1..=blyan_primitives::receipt::MAX_BATCH)?;
        Ok(Config {
            rpc,
            store: self.store.unwrap_or_else(|| base_path.join("store")),
            base_path,
            store_capacity: self.store_capacity.filter(|bytes| *bytes > 0),
            key,
            http_listen: self.http_listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8645))),
            public_url: self
                .public_url
                .map(|url| base_url("--public-url", &["http://", "https://"], &url))
                .transpose()?,
            peers: self
                .peers
                .unwrap_or_default()
                .iter()
                .filter(|url| !url.trim().is_empty())
                // Blocks are verified against the chain tile by tile, so that plain HTTP cannot harm them.
                .map(|url| base_url("--peers", &["http://"], url))
                .collect::<Result<_, _>>()?,
            roles: roles(&self.roles.unwrap_or_else(|| vec!["serve".into(), "gateway".into()]))?,
            threads: bounded("--threads", self.threads.unwrap_or(usize::from(detected.cpu_threads).max(1)), 1..=1024)?,
            spec,
            price,
            anchor_every: NonZeroU32::new(anchor_every).unwrap_or(NonZeroU32::MIN),
            anchor_interval: Duration::from_secs(bounded(
                "--anchor-interval",
                self.anchor_interval.unwrap_or(30),
                1..=86_400,
            )?),
            receipt_retention: match self.receipt_days.unwrap_or(90) {
                0 => None,
                days => Some(Duration::from_secs(u64::from(days) * 86_400)),
            },
            redeem_above: self.redeem_above.unwrap_or_else(|| price.saturating_mul(1000)),
            max_queue: bounded("--max-queue", self.max_queue.unwrap_or(64), 1..=1 << 16)?,
            max_batch: bounded("--max-batch", self.max_batch.unwrap_or(8), 1..=1024)?,
            max_body: bounded("--max-body", self.max_body.unwrap_or(1 << 20), 1 << 10..=1 << 28)?,
            max_tokens: bounded("--max-tokens", self.max_tokens.unwrap_or(1024), 1..=1 << 20)?,
            max_uploads: bounded("--max-uploads", self.max_uploads.unwrap_or(16), 1..=4096)?,
            rate_limit: NonZeroU32::new(self.rate_limit.unwrap_or(0)),
            api_keys,
            drain_timeout: Duration::from_secs(bounded("--drain-timeout", self.drain_timeout.unwrap_or(60), 0..=3600)?),
            region,
            hardware,
            log_json: self.log_json.unwrap_or(false),
        })
    }
}

impl Config {
    /// The configuration as a file for `--config`; keys are left out.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let own = ROLES.iter().filter(|(_, role)| self.roles.contains(*role));
        let roles = own.map(|(name, _)| (*name).to_owned()).collect();
        let options = Options {
            rpc: Some(self.rpc.clone()),
            base_path: Some(self.base_path.clone()),
            store: Some(self.store.clone()),
            store_capacity: Some(self.store_capacity.unwrap_or(0)),
            key: None,
            http_listen: Some(self.http_listen),
            public_url: self.public_url.clone(),
            peers: Some(self.peers.clone()),
            roles: Some(roles),
            threads: Some(self.threads),
            spec: self.spec.map(|spec| spec.to_string()),
            price: Some(self.price),
            anchor_every: Some(self.anchor_every.get()),
            anchor_interval: Some(self.anchor_interval.as_secs()),
            receipt_days: Some(self.receipt_retention.map_or(0, |time| (time.as_secs() / 86_400) as u32)),
            redeem_above: Some(self.redeem_above),
            max_queue: Some(self.max_queue),
            max_batch: Some(self.max_batch),
            max_body: Some(self.max_body),
            max_tokens: Some(self.max_tokens),
            max_uploads: Some(self.max_uploads),
            rate_limit: Some(self.rate_limit.map_or(0, NonZeroU32::get)),
            api_key: None,
            api_key_file: None,
            drain_timeout: Some(self.drain_timeout.as_secs()),
            region: Some(self.region.to_string()),
            vram_mib: Some(self.hardware.vram_mib),
            tflops: Some(self.hardware.tflops),
            pcie_gbps: Some(self.hardware.pcie_gbps),
            ram_mib: Some(self.hardware.ram_mib),
            cpu_threads: Some(self.hardware.cpu_threads),
            log_json: Some(self.log_json),
        };
        toml::to_string(&options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(toml: &str) -> Options {
        toml::from_str(toml).unwrap()
    }

    fn refused(toml: &str) -> String {
        options(&format!("key = \"//Alice\"\n{toml}")).resolve().unwrap_err().to_string()
    }

    #[test]
    fn flags_win_over_the_file_and_defaults_fill_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        std::fs::write(&path, "key = \"//Bob\"\nmax_batch = 3\nprice = 7\n").unwrap();
        let cli = Cli::try_parse_from(["blyan-worker", "--config", path.to_str().unwrap(), "--price", "9"]).unwrap();
        let config = cli.layers().unwrap().resolve().unwrap();
        assert_eq!((config.max_batch, config.price, config.max_queue), (3, 9, 64));
        assert_eq!(config.key, "//Bob");
    }

    #[test]
    fn the_printed_configuration_reads_back_without_secrets() {
        let mut given = options("price = 5\npeers = [\"http://127.0.0.1:1/\"]\nroles = [\"gateway\"]");
        given.key = Some("//Secret".into());
        let config = given.resolve().unwrap();
        let text = config.to_toml().unwrap();
        assert!(!text.contains("Secret"), "{text}");
        let mut again = options(&text);
        again.key = Some("//Secret".into());
        let again = again.resolve().unwrap();
        assert_eq!(again.peers, ["http://127.0.0.1:1"]);
        assert_eq!(again.to_toml().unwrap(), text);
    }

    #[test]
    fn values_out_of_bounds_are_named() {
        assert!(refused("max_batch = 0").starts_with("--max-batch: 0 is not between"));
        assert!(refused("anchor_every = 5000").starts_with("--anchor-every"));
        assert!(refused("rpc = \"http://x\"").starts_with("--rpc"));
        assert!(refused("peers = [\"https://x\"]").starts_with("--peers"));
        assert!(refused("public_url = \"ftp://x\"").ends_with("http://host:port or https://host:port"));
        assert!(refused("public_url = \"https://\"").starts_with("--public-url"));
        assert!(refused("roles = [\"audit\"]").starts_with("--roles"));
        assert!(refused("roles = []").starts_with("--roles"));
        assert!(refused("spec = \"0x12\"").starts_with("--spec"));
        assert!(refused("region = \"eu-west\"").starts_with("--region"));
        assert!(refused("api_key = [\"short\"]").starts_with("--api-key"));
        assert!(Options::default().resolve().unwrap_err().to_string().starts_with("--key"));
    }

    #[test]
    fn a_proxy_may_add_tls_in_front_of_a_worker() {
        let config = options("key = \"//Alice\"\npublic_url = \"https://worker.example/\"").resolve().unwrap();
        assert_eq!(config.public_url.as_deref(), Some("https://worker.example"));
    }

    #[test]
    fn unknown_keys_in_a_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        std::fs::write(&path, "max_bach = 3\n").unwrap();
        assert!(matches!(read_file(&path), Err(ConfigError::Parse { .. })));
    }
}
