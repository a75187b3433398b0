// What a wallet does, with @polkadot/api alone: `node wallet.mjs WS_URL`. Exits non-zero when anything is not as it should be.
import { strict as assert } from "node:assert";
import { ApiPromise, Keyring, WsProvider } from "@polkadot/api";
import { stringToU8a, u8aConcat, u8aToHex } from "@polkadot/util";
import { blake2AsU8a } from "@polkadot/util-crypto";

const BLY = 10n ** 18n;

const api = await ApiPromise.create({ provider: new WsProvider(process.argv[2]), noInitWarn: true });
const keyring = new Keyring({ type: "sr25519", ss58Format: api.registry.chainSS58 });
const alice = keyring.addFromUri("//Alice");

assert.deepEqual(api.registry.chainTokens, ["BLY"]);
assert.deepEqual(api.registry.chainDecimals, [18]);
assert.equal(api.registry.chainSS58, 42);

// The active specification and the heads of its slots.
const [active] = await api.query.meta.activeSpecs();
const record = (await api.query.meta.specs(active)).unwrap();
const { layers, experts } = record.spec.dimensions;
const heads = await api.query.experts.heads.entries();
assert.equal(heads.length, layers.toNumber() * experts.toNumber(), "one head a slot");
for (const [, head] of heads) {
  const block = (await api.query.experts.blocks(head.unwrap().block)).unwrap();
  assert.ok(block, "a head without a record");
}

// Submits and waits for the block to be final; the events are those of this transaction.
const submit = (tx, who) =>
  new Promise((resolve, reject) => {
    tx.signAndSend(who, ({ status, events, dispatchError, isError }) => {
      if (isError) reject(new Error(`transaction ended as ${status.type}`));
      if (!status.isFinalized) return;
      if (!dispatchError) return resolve(events.map(({ event }) => event));
      const known = dispatchError.isModule && api.registry.findMetaError(dispatchError.asModule);
      reject(new Error(known ? `${known.section}.${known.name}` : dispatchError.toString()));
    }).catch(reject);
  });
const has = (events, section, method) => events.find((event) => event.section === section && event.method === method);

// A transfer to a new account.
const worker = keyring.addFromUri("//Wallet/test");
const before = (await api.query.system.account(worker.address)).data.free.toBigInt();
const paid = await submit(api.tx.balances.transferKeepAlive(worker.address, 1_000n * BLY), alice);
assert.ok(has(paid, "balances", "Transfer"), "no Transfer event");
assert.equal((await api.query.system.account(worker.address)).data.free.toBigInt() - before, 1_000n * BLY);

// Registering a worker: its key signs the registration, bound to chain and account.
const domain = new Uint8Array(32);
domain.set(stringToU8a("blyan/registration/1"));
const register = (who) => {
  const info = api.createType(api.tx.workers.register.meta.args[0].type.toString(), {
    key: who.publicKey,
    // As hex: of a byte array the codec would take the first byte for a length.
    peerId: u8aToHex(u8aConcat([0x00, 0x24, 0x08, 0x01, 0x12, 0x20], who.publicKey)),
    addresses: ["https://worker.example"],
    region: stringToU8a("DE\0\0\0\0"),
    hardware: { vramMib: 24_576, tflops: 80, pcieGbps: 25, ramMib: 65_536, cpuThreads: 16 },
    hardwareId: blake2AsU8a("a machine of the wallet test"),
    roles: 1,
  });
  const account = api.createType("AccountId", who.address);
  const message = blake2AsU8a(u8aConcat(domain, api.genesisHash.toU8a(), account.toU8a(), info.toU8a()));
  return submit(api.tx.workers.register(info, who.sign(message)), who);
};
const registered = await register(worker);
const event = has(registered, "workers", "Registered");
assert.ok(event, "no Registered event");
assert.equal(event.data.tier.toString(), "7");
assert.ok((await api.query.workers.workers(worker.address)).isSome);

// A worker is registered once, and a second one on the same machine is refused; each by name.
await assert.rejects(register(worker), /workers\.AlreadyRegistered/);
const second = keyring.addFromUri("//Wallet/second");
await submit(api.tx.balances.transferKeepAlive(second.address, 1_000n * BLY), alice);
await assert.rejects(register(second), /workers\.HardwareTaken/);

await api.disconnect();
console.log("ok");
