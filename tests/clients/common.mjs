// What scripts share that act for people through @polkadot/api alone: accounts, transactions, events, machines and referenda.
import { strict as assert } from "node:assert";
import { ApiPromise, Keyring, WsProvider } from "@polkadot/api";
import { stringToU8a, u8aConcat, u8aToHex } from "@polkadot/util";
import { blake2AsU8a } from "@polkadot/util-crypto";

export const BLY = 10n ** 18n;

// Most bytes of a call that a referendum holds itself; larger ones are noted as a preimage.
const MAX_INLINE = 128;

const keyring = new Keyring({ type: "sr25519" });

// The account of a secret URI such as "//Alice".
export const account = (uri) => keyring.addFromUri(uri);

// What @polkadot/api does not know, or would get wrong.
const types = { GeneratedSessionKeys: { keys: "Bytes", proof: "Bytes" } };
const rpc = {
  author: {
    rotateKeysWithOwner: {
      description: "Makes session keys in the node, and the proof that they are the owner's.",
      params: [{ name: "owner", type: "Bytes" }],
      type: "GeneratedSessionKeys",
    },
    submitExtrinsic: {
      description: "Sends a transaction as it is: decoded as @polkadot/api does, a general one is not encoded as it was.",
      params: [{ name: "extrinsic", type: "Bytes" }],
      type: "Hash",
    },
  },
};

// A promise that `start` settles, and so does what a callback of its throws, once it is wrapped: @polkadot/api would only log
// that.
const settled = (start) =>
  new Promise((resolve, reject) => {
    const wrap = (callback) => (value) => {
      try {
        callback(value);
      } catch (error) {
        reject(error);
      }
    };
    start(resolve, reject, wrap).catch(reject);
  });

// Waits until what `query` gives for the best block is accepted. `query` takes a callback, as storage entries do: those that
// need keys are bound to them by a function.
export const when = async (query, accept) => {
  let subscription;
  const value = await settled((resolve, _, wrap) => {
    subscription = query(wrap((value) => accept(value) && resolve(value)));
    return subscription;
  });
  (await subscription)();
  return value;
};

// The next head.
export const nextHead = (api) => {
  let first;
  return when(
    (callback) => api.rpc.chain.subscribeNewHeads(callback),
    ({ number }) => number.toNumber() > (first ??= number.toNumber()),
  );
};

// Where each API is connected to.
const urls = new WeakMap();

// The node at `url`, once it has a finalized block: transactions that begin with the first block are refused as too old.
export const connect = async (url) => {
  const api = await ApiPromise.create({ provider: new WsProvider(url), noInitWarn: true, types, rpc });
  urls.set(api, url);
  await when(api.rpc.chain.subscribeFinalizedHeads, ({ number }) => number.toNumber() > 0);
  return api;
};

// Name of an error, as in "staking.BelowMinSelfBond".
const nameOf = (api, error) => {
  if (!error.isModule) return error.toString();
  const { section, name } = api.registry.findMetaError(error.asModule);
  return `${section}.${name}`;
};

// Signs and sends a transaction, and waits until it is final; with `best`, until the best chain has it. Gives its events and
// the hash of its block. A transaction that fails rejects with the error's name. Who sends several of an account at once gives
// them their nonces.
export const submit = (api, tx, who, { best = false, nonce = -1 } = {}) =>
  settled((resolve, reject, wrap) => {
    const hear = ({ status, events, dispatchError, isError }) => {
      if (isError) throw new Error(`the transaction ended as ${status.type}`);
      if (!status.isFinalized && !(best && status.isInBlock)) return;
      if (dispatchError) throw new Error(nameOf(api, dispatchError));
      const block = (status.isFinalized ? status.asFinalized : status.asInBlock).toHex();
      resolve({ events: events.map(({ event }) => event), block });
    };
    return tx.signAndSend(who, { nonce }, wrap(hear));
  });

// Whether an event is of this pallet and name and its fields hold these values, each as JavaScript or as @polkadot/api
// prints it.
export const is = (event, section, method, fields = {}) =>
  event.section === section &&
  event.method === method &&
  Object.entries(fields).every(([name, value]) => event.data[name].toString() === value.toString());

// The one event among `events` that is of this kind.
export const the = (events, section, method, fields = {}) => {
  const found = events.filter((event) => is(event, section, method, fields));
  assert.equal(found.length, 1, `${found.length} events ${section}.${method} instead of one`);
  return found[0];
};

// The events of a block. When it hears of an upgrade, the API puts the new metadata in the place of the old, also under queries
// that are on their way: they fail, and it would read the same block with the same metadata again. Another one knows better.
const eventsOf = async (api, hash) => {
  const version = api.runtimeVersion;
  try {
    return await (await api.at(hash)).query.system.events();
  } catch (error) {
    if (api.runtimeVersion === version) throw error;
    const other = await connect(urls.get(api));
    try {
      return await (await other.at(hash)).query.system.events();
    } finally {
      await other.disconnect();
    }
  }
};

// Reads the events of every finalized block from the first on, as they come. An entry is an event with number and hash of its
// block.
export const follow = async (api) => {
  const seen = [];
  const waiting = new Set();
  let failure = null;
  let next = 1;

  const settle = (waiter) => {
    while (waiter.at < seen.length) {
      const entry = seen[waiter.at++];
      if (!waiter.accept(entry)) continue;
      waiting.delete(waiter);
      return waiter.resolve(entry);
    }
    if (failure) waiter.reject(failure);
  };
  const read = async (last) => {
    for (; next <= last; next += 1) {
      const hash = await api.rpc.chain.getBlockHash(next);
      for (const { event } of await eventsOf(api, hash)) seen.push({ event, number: next, block: hash.toHex() });
      waiting.forEach(settle);
    }
  };
  let reading = Promise.resolve();
  await api.rpc.chain.subscribeFinalizedHeads((head) => {
    reading = reading
      .then(() => read(head.number.toNumber()))
      .catch((error) => {
        failure = error;
        waiting.forEach(settle);
      });
  });

  // Waits for the first entry, of the past ones too, that is accepted.
  const until = (accept) =>
    new Promise((resolve, reject) => {
      const waiter = { accept, resolve, reject, at: 0 };
      waiting.add(waiter);
      settle(waiter);
    });
  return {
    // Every entry so far.
    seen,
    until,
    // Waits for an event of this kind.
    event: (section, method, fields) => until(({ event }) => is(event, section, method, fields)),
    // The entries so far, or up to a block, whose events are of this kind.
    all: (section, method, fields, last = Infinity) =>
      seen.filter(({ event, number }) => number <= last && is(event, section, method, fields)),
  };
};

// What is held of an account for a reason such as ["Staking", "Validator"], in the state that `at` gives: the api, or what
// `api.at` gives.
export const held = async (at, who, [pallet, reason]) => {
  const holds = await at.query.balances.holds(who.address);
  const hold = holds.find(({ id }) => id.type === pallet && id.value.type === reason);
  return hold ? hold.amount.toBigInt() : 0n;
};

const domain = (name) => {
  const padded = new Uint8Array(32);
  padded.set(stringToU8a(name));
  return padded;
};

// 32 bytes that name a machine.
export const machineId = (name) => blake2AsU8a(name);

// The call that registers a worker of `who` on a machine. Its key is the account's, and signs the registration, bound to chain
// and account.
export const registration = (api, who, machine) => {
  const info = api.createType(api.tx.workers.register.meta.args[0].type.toString(), {
    key: who.publicKey,
    // As hex: of a byte array the codec would take the first byte for a length.
    peerId: u8aToHex(u8aConcat([0x00, 0x24, 0x08, 0x01, 0x12, 0x20], who.publicKey)),
    addresses: ["https://worker.example"],
    region: stringToU8a("DE\0\0\0\0"),
    hardware: { vramMib: 24_576, tflops: 80, pcieGbps: 25, ramMib: 65_536, cpuThreads: 16 },
    hardwareId: machineId(machine),
    roles: 1,
  });
  const message = u8aConcat(domain("blyan/registration/1"), api.genesisHash.toU8a(), who.publicKey, info.toU8a());
  return api.tx.workers.register(info, who.sign(blake2AsU8a(message)));
};

// Sends a heartbeat of the worker of `who` for the period of the next block: a general transaction, which nobody signs but the
// worker's key inside the call. Gives the period.
export const sendHeartbeat = async (api, who) => {
  const length = api.consts.workers.heartbeatPeriod.toNumber();
  const next = (await api.rpc.chain.getHeader()).number.toNumber() + 1;
  const period = Math.floor(next / length);
  const heartbeat = api.createType(api.tx.workers.heartbeat.meta.args[0].type.toString(), {
    worker: who.address,
    period,
    expiresAt: (period + 1) * length - 1,
  });
  const message = u8aConcat(domain("blyan/heartbeat/1"), api.genesisHash.toU8a(), heartbeat.toU8a());
  const method = api.tx.workers.heartbeat(heartbeat, who.sign(blake2AsU8a(message))).method;
  const payload = { method, era: "0x00", nonce: 0, tip: 0, mode: 0 };
  const general = api.createType("GeneralExtrinsic", { payload, transactionExtensionVersion: 0 });
  await api.rpc.author.submitExtrinsic(general.toHex());
  return period;
};

// Waits until the worker of `who`, which is registered, is online: until a heartbeat of a period after its registration's is in
// a block.
export const goOnline = async (api, who) => {
  const length = api.consts.workers.heartbeatPeriod.toNumber();
  const { registeredAt } = (await api.query.workers.workers(who.address)).unwrap();
  const registered = Math.floor(registeredAt.toNumber() / length);
  // The period that counts is that of the block after the best one.
  const isPast = (number, period) => Math.floor((number.toNumber() + 1) / length) > period;
  await when(api.query.system.number, (number) => isPast(number, registered));
  for (;;) {
    const period = await sendHeartbeat(api, who);
    const both = [api.query.system.number, [api.query.workers.lastHeartbeat, who.address]];
    const isDecided = ([number, last]) => last.eq(period) || isPast(number, period);
    const [, last] = await when((callback) => api.queryMulti(both, callback), isDecided);
    if (last.isSome) return;
  }
};

// Binds a machine to each of these accounts and waits until all of them can vote. `machines` is a list of pairs of account and
// machine.
export const makeMembers = (api, machines) =>
  Promise.all(
    machines.map(async ([who, machine]) => {
      await submit(api, registration(api, who, machine), who, { best: true });
      await goOnline(api, who);
    }),
  );

// Submits a referendum on `call` with its deposit, on the track of an origin such as { Dao: "CancelSlash" } or
// { system: "Root" }, and has it called `after` blocks from its confirmation. Gives its index.
export const propose = async (api, { origin, call, by, after = 1 }) => {
  const index = (await api.query.referenda.referendumCount()).toNumber();
  const bytes = call.method.toHex();
  const length = call.method.encodedLength;
  const proposal =
    length <= MAX_INLINE ? { Inline: bytes } : { Lookup: { hash_: call.method.hash.toHex(), len: length } };
  const calls = [
    api.tx.referenda.submit(origin, proposal, { After: after }),
    api.tx.referenda.placeDecisionDeposit(index),
    ...(length <= MAX_INLINE ? [] : [api.tx.preimage.notePreimage(bytes)]),
  ];
  const { events } = await submit(api, api.tx.utility.batchAll(calls), by, { best: true });
  the(events, "referenda", "Submitted", { index });
  return index;
};

// Has each of `voters` vote on a referendum.
export const vote = (api, index, voters, aye = true) =>
  Promise.all(voters.map((who) => submit(api, api.tx.dao.vote(index, aye), who, { best: true })));

// Waits until a referendum is decided, and says how: "Approved", "Rejected" or another end.
export const decided = async (api, index) => {
  const query = (callback) => api.query.referenda.referendumInfoFor(index, callback);
  const info = await when(query, (info) => info.isSome && !info.unwrap().isOngoing);
  return info.unwrap().type;
};
