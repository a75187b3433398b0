//! The node's JSON-RPC: one reconnecting WebSocket, a deadline on every request, and the node's refusals by name.
//!
//! A query that a broken connection cut off is sent again on the next connection, until its deadline. An extrinsic is not:
//! whether the node has it decides about what may be signed next, so nobody but the transaction manager repeats it.

use crate::{BlockRef, ChainError, Hash, Result, backoff::Backoff, config::BlyanConfig, session::SessionKeys};
use futures::{FutureExt, StreamExt, stream::BoxStream};
use std::time::Duration;
use subxt::{
    config::{RpcConfigFor, substrate::SubstrateHeader},
    rpcs::{
        Error as RpcError, LegacyRpcMethods, RpcClient, RpcClientT,
        client::{
            RawRpcFuture, RawRpcSubscription, RawValue,
            reconnecting_rpc_client::{PingConfig, RpcClient as Reconnecting},
            rpc_params,
        },
    },
    utils::H256,
};
use tokio::time::{Instant, sleep, timeout_at};

/// Shortest and longest wait between two attempts to reconnect.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A connection on which nothing, not even an answer to a ping, arrived for this long is taken for dead.
const SILENCE: Duration = Duration::from_secs(20);
/// Largest answer, in bytes: metadata and full blocks fit several times.
const MAX_RESPONSE: u32 = 32 << 20;
/// The one method that is not repeated.
const SUBMIT: &str = "author_submitExtrinsic";
/// Keys asked for in one request.
const KEYS_PER_REQUEST: usize = 256;

/// The request was not answered before its deadline.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Elapsed(Duration);

/// The reconnecting client of subxt with a deadline for each request, the wait for a connection included.
struct Deadline {
    inner: Reconnecting,
    limit: Duration,
}

impl Deadline {
    /// Repeats `attempt` over broken connections until it is answered or the deadline passes; with `once`, not at all.
    async fn insist<T, F: Future<Output = Result<T, RpcError>>>(
        &self,
        once: bool,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, RpcError> {
        let deadline = Instant::now() + self.limit;
        let elapsed = || RpcError::Client(Box::new(Elapsed(self.limit)));
        for wait in Backoff::new(RECONNECT.0, RECONNECT.1) {
            match timeout_at(deadline, attempt()).await {
                Err(_) => break,
                Ok(Err(RpcError::DisconnectedWillReconnect(_))) if !once && Instant::now() + wait < deadline => {
                    sleep(wait).await;
                },
                Ok(Err(RpcError::DisconnectedWillReconnect(_))) => break,
                Ok(answer) => return answer,
            }
        }
        Err(elapsed())
    }
}

impl RpcClientT for Deadline {
    fn request_raw<'a>(&'a self, method: &'a str, params: Option<Box<RawValue>>) -> RawRpcFuture<'a, Box<RawValue>> {
        async move { self.insist(method == SUBMIT, || self.inner.request_raw(method, params.clone())).await }.boxed()
    }

    fn subscribe_raw<'a>(
        &'a self,
        sub: &'a str,
        params: Option<Box<RawValue>>,
        unsub: &'a str,
    ) -> RawRpcFuture<'a, RawRpcSubscription> {
        async move { self.insist(false, || self.inner.subscribe_raw(sub, params.clone(), unsub)).await }.boxed()
    }
}

/// Header of a block, with its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) block: BlockRef,
    pub(crate) parent: Hash,
}

/// What `author_rotateKeysWithOwner` answers.
#[derive(Debug, serde::Deserialize)]
struct RotatedKeys {
    keys: String,
    proof: String,
}

/// Why the node's pool did not take an extrinsic.
#[derive(Debug)]
pub(crate) enum PoolRefusal {
    /// It has these bytes already.
    AlreadyThere,
    /// The pool does not look at these bytes for a while: they were included, or it has refused them already.
    Banned,
    /// The runtime calls it invalid now; `validate` says why.
    Invalid(String),
    /// The pool has no place, or another extrinsic in the way.
    Later(String),
}

/// Requests to one node.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    methods: LegacyRpcMethods<RpcConfigFor<BlyanConfig>>,
    client: RpcClient,
    limit: Duration,
}

impl Rpc {
    /// Connects within `patience`; from then on each request has `limit`.
    pub(crate) async fn connect(url: &str, patience: Duration, limit: Duration) -> Result<Self> {
        let bad_url = |reason: String| ChainError::BadUrl { url: url.to_owned(), reason };
        // The WebSocket client retries a bad address for ever; only these two schemes can succeed.
        let address = url.strip_prefix("ws://").or_else(|| url.strip_prefix("wss://"));
        match address {
            None => return Err(bad_url("it starts with neither ws:// nor wss://".to_owned())),
            Some(rest) if rest.is_empty() || rest.contains(char::is_whitespace) => {
                return Err(bad_url("it names no host".to_owned()));
            },
            Some(_) => {},
        }
        let connecting = Reconnecting::builder()
            .retry_policy(Backoff::new(RECONNECT.0, RECONNECT.1))
            // The deadline around each request ends it first, under our name.
            .request_timeout(limit.saturating_mul(2))
            .connection_timeout(limit.min(Duration::from_secs(10)))
            .enable_ws_ping(PingConfig::new().ping_interval(SILENCE / 2).inactive_limit(SILENCE).max_failures(1))
            .max_response_size(MAX_RESPONSE)
            .build(url);
        let inner = match tokio::time::timeout(patience, connecting).await {
            Ok(Ok(inner)) => inner,
            Ok(Err(error)) => return Err(bad_url(error.to_string())),
            Err(_) => return Err(ChainError::Unreachable { url: url.to_owned(), waited: patience }),
        };
        let client = RpcClient::new(Deadline { inner, limit });
        Ok(Self { methods: LegacyRpcMethods::new(client.clone()), client, limit })
    }

    fn failed(&self, what: &'static str, error: RpcError) -> ChainError {
        match error {
            RpcError::Client(inner) if inner.is::<Elapsed>() => ChainError::TimedOut { what, after: self.limit },
            RpcError::DisconnectedWillReconnect(_) => ChainError::TimedOut { what, after: self.limit },
            RpcError::Decode(error) => ChainError::Decode { what, reason: error.to_string() },
            RpcError::Deserialization(error) => ChainError::Decode { what, reason: error.to_string() },
            error => ChainError::Refused { what, source: Box::new(error) },
        }
    }

    /// [`Self::failed`] for requests about the state after `block`.
    fn failed_at(&self, what: &'static str, block: Hash, error: RpcError) -> ChainError {
        // The node has one error code for everything about blocks; only the text tells these cases apart.
        if let RpcError::User(user) = &error {
            let said = |text: &str| {
                user.message.contains(text) || user.data.as_ref().is_some_and(|data| data.get().contains(text))
            };
            if said("State already discarded") {
                return ChainError::StatePruned { block };
            }
            if said("UnknownBlock") || said("Header was not found") {
                return ChainError::UnknownBlock { hash: block };
            }
        }
        self.failed(what, error)
    }

    pub(crate) async fn genesis(&self) -> Result<Hash> {
        let what = "the genesis hash";
        self.methods.genesis_hash().await.map(|hash| Hash(hash.0)).map_err(|error| self.failed(what, error))
    }

    pub(crate) async fn finalized_head(&self) -> Result<Header> {
        let what = "the finalized head";
        let hash = self.methods.chain_get_finalized_head().await.map_err(|error| self.failed(what, error))?;
        self.header(Hash(hash.0)).await
    }

    /// Hash of the best block.
    pub(crate) async fn best_hash(&self) -> Result<Hash> {
        let what = "the best block";
        let hash = self.methods.chain_get_block_hash(None).await.map_err(|error| self.failed(what, error))?;
        let hash = hash.ok_or(ChainError::Decode { what, reason: "the node has no best block".to_owned() })?;
        Ok(Hash(hash.0))
    }

    /// Hash of the block `number` on the node's best chain; `None` when it has none.
    pub(crate) async fn hash_at(&self, number: u32) -> Result<Option<Hash>> {
        let what = "a block hash";
        let hash = self.methods.chain_get_block_hash(Some(number.into())).await;
        hash.map(|hash| hash.map(|hash| Hash(hash.0))).map_err(|error| self.failed(what, error))
    }

    pub(crate) async fn header(&self, hash: Hash) -> Result<Header> {
        let what = "a block header";
        let header = self.methods.chain_get_header(Some(H256(hash.0))).await;
        let header =
            header.map_err(|error| self.failed_at(what, hash, error))?.ok_or(ChainError::UnknownBlock { hash })?;
        named(&header)
    }

    /// The encoded extrinsics of a block, in order.
    pub(crate) async fn body(&self, hash: Hash) -> Result<Vec<Vec<u8>>> {
        let what = "a block";
        let block = self.methods.chain_get_block(Some(H256(hash.0))).await;
        let block =
            block.map_err(|error| self.failed_at(what, hash, error))?.ok_or(ChainError::UnknownBlock { hash })?;
        Ok(block.block.extrinsics.into_iter().map(|bytes| bytes.0).collect())
    }

    /// Spec and transaction version of the runtime that executes the block after `at`.
    pub(crate) async fn runtime_version(&self, at: Hash) -> Result<(u32, u32)> {
        let what = "the runtime version";
        let version = self.methods.state_get_runtime_version(Some(H256(at.0))).await;
        version
            .map(|version| (version.spec_version, version.transaction_version))
            .map_err(|error| self.failed_at(what, at, error))
    }

    /// Calls a runtime API with encoded arguments.
    pub(crate) async fn call(&self, what: &'static str, api: &str, arguments: &[u8], at: Hash) -> Result<Vec<u8>> {
        let answer = self.methods.state_call(api, Some(arguments), Some(H256(at.0))).await;
        answer.map_err(|error| self.failed_at(what, at, error))
    }

    /// The raw values under `keys` after block `at`, in the order of `keys`.
    pub(crate) async fn storage(&self, what: &'static str, keys: &[Vec<u8>], at: Hash) -> Result<Vec<Option<Vec<u8>>>> {
        if let [key] = keys {
            let value = self.methods.state_get_storage(key, Some(H256(at.0))).await;
            return Ok(vec![value.map_err(|error| self.failed_at(what, at, error))?]);
        }
        let mut values = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(KEYS_PER_REQUEST) {
            let sets = self.methods.state_query_storage_at(chunk.iter().map(Vec::as_slice), Some(H256(at.0))).await;
            let sets = sets.map_err(|error| self.failed_at(what, at, error))?;
            let mut found: std::collections::HashMap<Vec<u8>, Option<Vec<u8>>> = sets
                .into_iter()
                .flat_map(|set| set.changes)
                .map(|(key, value)| (key.0, value.map(|value| value.0)))
                .collect();
            values.extend(chunk.iter().map(|key| found.remove(key).flatten()));
        }
        Ok(values)
    }

    /// Every key under `prefix` after block `at`, in the trie's order; at most `limit`, then an error.
    pub(crate) async fn keys(&self, what: &'static str, prefix: &[u8], limit: usize, at: Hash) -> Result<Vec<Vec<u8>>> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        loop {
            let page = KEYS_PER_REQUEST as u32;
            let last = keys.last().map(Vec::as_slice);
            let more = self.methods.state_get_keys_paged(prefix, page, last, Some(H256(at.0))).await;
            let more = more.map_err(|error| self.failed_at(what, at, error))?;
            let ended = more.len() < KEYS_PER_REQUEST;
            keys.extend(more);
            if keys.len() > limit {
                return Err(ChainError::Decode { what, reason: format!("more than {limit} entries") });
            }
            if ended {
                return Ok(keys);
            }
        }
    }

    /// Has the node make session keys, and prove that they are `owner`'s. The keys stay in the node's keystore.
    pub(crate) async fn rotate_keys(&self, owner: &[u8]) -> Result<SessionKeys> {
        let what = "new session keys";
        let owner = format!("0x{}", hex::encode(owner));
        let made: RotatedKeys = self
            .client
            .request("author_rotateKeysWithOwner", rpc_params![owner])
            .await
            .map_err(|error| self.failed(what, error))?;
        let bytes = |text: &str| {
            hex::decode(text.trim_start_matches("0x"))
                .map_err(|error| ChainError::Decode { what, reason: error.to_string() })
        };
        Ok(SessionKeys { keys: bytes(&made.keys)?, proof: bytes(&made.proof)? })
    }

    /// Whether the node has the secret keys of these session keys.
    pub(crate) async fn has_session_keys(&self, keys: &[u8]) -> Result<bool> {
        let found = self.methods.author_has_session_keys(keys.to_vec()).await;
        found.map_err(|error| self.failed("whether it has session keys", error))
    }

    /// Hands an extrinsic to the node's pool.
    pub(crate) async fn submit(&self, extrinsic: &[u8]) -> Result<Result<(), PoolRefusal>> {
        let what = "an extrinsic";
        match self.methods.author_submit_extrinsic(extrinsic).await {
            Ok(_) => Ok(Ok(())),
            Err(RpcError::User(user)) => {
                let data = user.data.as_ref().map(|data| data.get().trim_matches('"').to_owned());
                let said = data.map_or(user.message.clone(), |data| format!("{}: {data}", user.message));
                match user.code {
                    1013 => Ok(Err(PoolRefusal::AlreadyThere)),
                    // Undecodable for the runtime, invalid, of unknown validity, without tags.
                    1001 | 1002 | 1010 | 1011 | 1019 => Ok(Err(PoolRefusal::Invalid(said))),
                    1012 => Ok(Err(PoolRefusal::Banned)),
                    // Outbid, in a cycle, no room, not to be gossiped, too far in the future.
                    1014..=1018 | 1020 | 1021 => Ok(Err(PoolRefusal::Later(said))),
                    _ => Err(self.failed(what, RpcError::User(user))),
                }
            },
            Err(error) => Err(self.failed(what, error)),
        }
    }

    /// Finalized headers as the node announces them: some may be skipped, and the stream ends with the connection.
    pub(crate) async fn finalized_headers(&self) -> Result<BoxStream<'static, Result<Header, String>>> {
        let what = "the finalized heads";
        let headers = self
            .client
            .subscribe::<SubstrateHeader<H256>>(
                "chain_subscribeFinalizedHeads",
                rpc_params![],
                "chain_unsubscribeFinalizedHeads",
            )
            .await
            .map_err(|error| self.failed(what, error))?;
        Ok(headers
            .map(|header| match header {
                Ok(header) => named(&header).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            })
            .boxed())
    }
}

/// The hash of an extrinsic, as pools and explorers name it.
pub(crate) fn extrinsic_hash(bytes: &[u8]) -> Hash {
    Hash(blyan_primitives::hash::blake2_256(bytes))
}

fn named(header: &SubstrateHeader<H256>) -> Result<Header> {
    use codec::Encode;
    let number = u32::try_from(header.number).map_err(|_| ChainError::Decode {
        what: "a block header",
        reason: format!("block number {} is beyond 32 bits", header.number),
    })?;
    let hash = Hash(blyan_primitives::hash::blake2_256(&header.encode()));
    Ok(Header { block: BlockRef { number, hash }, parent: Hash(header.parent_hash.0) })
}
