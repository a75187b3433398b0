//! Puts the node together, as the template does: database, transaction pool, Aura, GRANDPA, network and RPC.

use crate::rpc;
use futures::FutureExt;
use polkadot_sdk::*;
use sc_client_api::{Backend as _, BlockBackend};
use sc_consensus_aura::{ImportQueueParams, SlotProportion, StartAuraParams};
use sc_consensus_grandpa::{GrandpaBlockImport, LinkHalf, SharedVoterState};
use sc_network::NetworkBackend;
use sc_service::{Configuration, Error, KeystoreContainer, TaskManager, WarpSyncConfig};
use sc_telemetry::{Telemetry, TelemetryWorker};
use sc_transaction_pool::TransactionPoolHandle;
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use solochain_runtime::{OpaqueBlock as Block, RuntimeApi};
use sp_consensus_aura::{
    SlotDuration,
    inherents::InherentDataProvider as SlotProvider,
    sr25519::{AuthorityId as AuraId, AuthorityPair as AuraPair},
};
use sp_runtime::traits::Block as BlockT;
use sp_timestamp::InherentDataProvider as TimeProvider;
use std::{sync::Arc, time::Duration};

type Executor = sc_executor::WasmExecutor<sp_io::SubstrateHostFunctions>;
type Backend = sc_service::TFullBackend<Block>;
type SelectChain = sc_consensus::LongestChain<Backend, Block>;
pub(crate) type Client = sc_service::TFullClient<Block, RuntimeApi, Executor>;
pub(crate) type Pool = TransactionPoolHandle<Block, Client>;

/// At least every so many blocks a finality justification is kept.
const JUSTIFICATION_PERIOD: u32 = 512;
/// How long GRANDPA's messages may take to cross the network.
const GOSSIP_DURATION: Duration = Duration::from_millis(333);

struct Parts {
    client: Arc<Client>,
    backend: Arc<Backend>,
    task_manager: TaskManager,
    import_queue: sc_consensus::DefaultImportQueue<Block>,
    keystore: KeystoreContainer,
    select_chain: SelectChain,
    pool: Arc<Pool>,
    slot_duration: SlotDuration,
    block_import: GrandpaBlockImport<Backend, Block, Client, SelectChain>,
    grandpa_link: LinkHalf<Block, Client, SelectChain>,
    telemetry: Option<Telemetry>,
}

fn inherents(slot_duration: SlotDuration) -> (SlotProvider, TimeProvider) {
    let timestamp = TimeProvider::from_system_time();
    (SlotProvider::from_timestamp_and_slot_duration(*timestamp, slot_duration), timestamp)
}

fn assemble(config: &Configuration) -> Result<Parts, Error> {
    let telemetry = config
        .telemetry_endpoints
        .clone()
        .filter(|endpoints| !endpoints.is_empty())
        .map(|endpoints| -> Result<_, sc_telemetry::Error> {
            let worker = TelemetryWorker::new(16)?;
            let telemetry = worker.handle().new_telemetry(endpoints);
            Ok((worker, telemetry))
        })
        .transpose()?;
    let executor: Executor = sc_service::new_wasm_executor(&config.executor);
    let (client, backend, keystore, task_manager) = sc_service::new_full_parts::<Block, RuntimeApi, _>(
        config,
        telemetry.as_ref().map(|(_, telemetry)| telemetry.handle()),
        executor,
        Vec::new(),
    )?;
    let client = Arc::new(client);
    let telemetry = telemetry.map(|(worker, telemetry)| {
        task_manager.spawn_handle().spawn("telemetry", None, worker.run());
        telemetry
    });
    let telemetry_handle = || telemetry.as_ref().map(|telemetry| telemetry.handle());

    let select_chain = sc_consensus::LongestChain::new(backend.clone());
    let pool = Arc::new(
        sc_transaction_pool::Builder::new(
            task_manager.spawn_essential_handle(),
            client.clone(),
            config.role.is_authority().into(),
        )
        .with_options(config.transaction_pool.clone())
        .with_prometheus(config.prometheus_registry())
        .build(),
    );

    let (block_import, grandpa_link) = sc_consensus_grandpa::block_import(
        client.clone(),
        JUSTIFICATION_PERIOD,
        &client,
        select_chain.clone(),
        telemetry_handle(),
    )?;
    let slot_duration = sc_consensus_aura::slot_duration::<AuraId, _, _>(&*client)?;
    let import_queue = sc_consensus_aura::import_queue::<AuraPair, _, _, _, _, _>(ImportQueueParams {
        block_import: block_import.clone(),
        justification_import: Some(Box::new(block_import.clone())),
        client: client.clone(),
        create_inherent_data_providers: move |_, ()| async move { Ok(inherents(slot_duration)) },
        spawner: &task_manager.spawn_essential_handle(),
        registry: config.prometheus_registry(),
        check_for_equivocation: Default::default(),
        telemetry: telemetry_handle(),
        compatibility_mode: Default::default(),
    })?;

    Ok(Parts {
        client,
        backend,
        task_manager,
        import_queue,
        keystore,
        select_chain,
        pool,
        slot_duration,
        block_import,
        grandpa_link,
        telemetry,
    })
}

/// Starts a node over network backend `N`. The tasks run until the returned manager is dropped.
pub(crate) fn start<N: NetworkBackend<Block, <Block as BlockT>::Hash>>(
    config: Configuration,
) -> Result<TaskManager, Error> {
    let Parts {
        client,
        backend,
        mut task_manager,
        import_queue,
        keystore,
        select_chain,
        pool,
        slot_duration,
        block_import,
        grandpa_link,
        mut telemetry,
    } = assemble(&config)?;

    let genesis = client.block_hash(0)?.ok_or_else(|| Error::Other("the database has no genesis block".into()))?;
    let registry = config.prometheus_registry().cloned();
    let mut net_config =
        sc_network::config::FullNetworkConfiguration::<_, _, N>::new(&config.network, registry.clone());
    let metrics = N::register_notification_metrics(registry.as_ref());
    let grandpa_protocol = sc_consensus_grandpa::protocol_standard_name(&genesis, &config.chain_spec);
    let (grandpa_set, grandpa_notifications) = sc_consensus_grandpa::grandpa_peers_set_config::<_, N>(
        grandpa_protocol.clone(),
        metrics.clone(),
        net_config.peer_store_handle(),
    );
    net_config.add_notification_protocol(grandpa_set);
    let warp_sync = Arc::new(sc_consensus_grandpa::warp_proof::NetworkProvider::new(
        backend.clone(),
        grandpa_link.shared_authority_set().clone(),
        Vec::new(),
    ));
    let (network, system_rpc_tx, tx_handler_controller, sync, _) =
        sc_service::build_network(sc_service::BuildNetworkParams {
            config: &config,
            net_config,
            client: client.clone(),
            transaction_pool: pool.clone(),
            spawn_handle: task_manager.spawn_handle(),
            spawn_essential_handle: task_manager.spawn_essential_handle(),
            import_queue,
            block_announce_validator_builder: None,
            warp_sync_config: Some(WarpSyncConfig::WithProvider(warp_sync)),
            block_relay: None,
            metrics,
            gap_sync_body_policy: None,
        })?;

    if config.offchain_worker.enabled {
        let workers = sc_offchain::OffchainWorkers::new(sc_offchain::OffchainWorkerOptions {
            runtime_api_provider: client.clone(),
            is_validator: config.role.is_authority(),
            keystore: Some(keystore.keystore()),
            offchain_db: backend.offchain_storage(),
            transaction_pool: Some(OffchainTransactionPoolFactory::new(pool.clone())),
            network_provider: Arc::new(network.clone()),
            enable_http_requests: true,
            custom_extensions: |_| Vec::new(),
        })?;
        let run = workers.run(client.clone(), task_manager.spawn_handle());
        task_manager.spawn_handle().spawn("offchain-workers-runner", Some("offchain-worker"), run.boxed());
    }

    let role = config.role;
    let name = config.network.node_name.clone();
    let force_authoring = config.force_authoring;
    let enable_grandpa = !config.disable_grandpa;
    let rpc_builder = {
        let (client, pool) = (client.clone(), pool.clone());
        Box::new(move |_| rpc::build(&client, &pool).map_err(Into::into))
    };
    sc_service::spawn_tasks(sc_service::SpawnTasksParams {
        config,
        client: client.clone(),
        backend,
        task_manager: &mut task_manager,
        keystore: keystore.keystore(),
        transaction_pool: pool.clone(),
        rpc_builder,
        network: network.clone(),
        system_rpc_tx,
        tx_handler_controller,
        sync_service: sync.clone(),
        telemetry: telemetry.as_mut(),
        tracing_execute_block: None,
    })?;

    if role.is_authority() {
        let proposer_factory = sc_basic_authorship::ProposerFactory::new(
            task_manager.spawn_handle(),
            client.clone(),
            pool.clone(),
            registry.as_ref(),
            telemetry.as_ref().map(Telemetry::handle),
        );
        let aura = sc_consensus_aura::start_aura::<AuraPair, _, _, _, _, _, _, _, _, _, _>(StartAuraParams {
            slot_duration,
            client,
            select_chain,
            block_import,
            proposer_factory,
            create_inherent_data_providers: move |_, ()| async move { Ok(inherents(slot_duration)) },
            force_authoring,
            backoff_authoring_blocks: None::<()>,
            keystore: keystore.keystore(),
            sync_oracle: sync.clone(),
            justification_sync_link: sync.clone(),
            block_proposal_slot_portion: SlotProportion::new(2f32 / 3f32),
            max_block_proposal_slot_portion: None,
            telemetry: telemetry.as_ref().map(Telemetry::handle),
            compatibility_mode: Default::default(),
        })?;
        task_manager.spawn_essential_handle().spawn_blocking("aura", Some("block-authoring"), aura);
    }

    if enable_grandpa {
        let voter = sc_consensus_grandpa::run_grandpa_voter(sc_consensus_grandpa::GrandpaParams {
            config: sc_consensus_grandpa::Config {
                gossip_duration: GOSSIP_DURATION,
                justification_generation_period: JUSTIFICATION_PERIOD,
                name: Some(name),
                observer_enabled: false,
                keystore: role.is_authority().then(|| keystore.keystore()),
                local_role: role,
                telemetry: telemetry.as_ref().map(Telemetry::handle),
                protocol_name: grandpa_protocol,
            },
            link: grandpa_link,
            network,
            sync: Arc::new(sync),
            notification_service: grandpa_notifications,
            voting_rule: sc_consensus_grandpa::VotingRulesBuilder::default().build(),
            prometheus_registry: registry,
            shared_voter_state: SharedVoterState::empty(),
            telemetry: telemetry.as_ref().map(Telemetry::handle),
            offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(pool),
        })?;
        task_manager.spawn_essential_handle().spawn_blocking("grandpa-voter", None, voter);
    }
    Ok(task_manager)
}
