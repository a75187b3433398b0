// What a wallet does, with @polkadot/api alone: `node wallet.mjs WS_URL`. Exits non-zero when anything is not as it should be.
import { strict as assert } from "node:assert";
import { BLY, account, connect, registration, submit, the } from "./common.mjs";

const api = await connect(process.argv[2]);
const alice = account("//Alice");

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

// A transfer to a new account.
const worker = account("//Wallet/test");
const free = async (who) => (await api.query.system.account(who.address)).data.free.toBigInt();
const before = await free(worker);
const paid = await submit(api, api.tx.balances.transferKeepAlive(worker.address, 1_000n * BLY), alice);
the(paid.events, "balances", "Transfer", { to: worker.address, amount: 1_000n * BLY });
assert.equal((await free(worker)) - before, 1_000n * BLY);

// Registering a worker: its key signs the registration, bound to chain and account.
const register = (who) => submit(api, registration(api, who, "a machine of the wallet test"), who);
const { events } = await register(worker);
assert.equal(the(events, "workers", "Registered").data.tier.toString(), "7");
assert.ok((await api.query.workers.workers(worker.address)).isSome);

// A worker is registered once, and a second one on the same machine is refused; each by name.
await assert.rejects(register(worker), /workers\.AlreadyRegistered/);
const second = account("//Wallet/second");
await submit(api, api.tx.balances.transferKeepAlive(second.address, 1_000n * BLY), alice);
await assert.rejects(register(second), /workers\.HardwareTaken/);

await api.disconnect();
console.log("ok");
