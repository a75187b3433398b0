// Speed of llama.cpp on one GGUF file, for comparison: `node bench.mjs FILE THREADS…` prints one JSON line a thread count.
import { statSync } from "node:fs";
import { basename } from "node:path";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const PROMPT = 512;
const ANSWER = 128;
const RUNS = 5;

const [file, ...threads] = process.argv.slice(2);
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
const bytes = statSync(file).size;
const rate = (tokens, since) => (tokens * 1000) / (performance.now() - since);

for (const count of threads.map(Number)) {
  const context = await model.createContext({ contextSize: 1024, batchSize: PROMPT, threads: count });
  const sequence = context.getSequence();
  // Any tokens do: speed does not depend on which.
  const prompt = Array.from({ length: PROMPT }, (_, i) => 1000 + i * 7);
  const best = { prefill: 0, decode: 0 };
  for (let run = 0; run < RUNS; run++) {
    await sequence.clearHistory();
    let start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(prompt);
    best.prefill = Math.max(best.prefill, rate(PROMPT, start));
    let made = 0;
    start = performance.now();
    for await (const _ of sequence.evaluate([1], { temperature: 0, yieldEogToken: true })) {
      if (++made === ANSWER) break;
    }
    best.decode = Math.max(best.decode, rate(made, start));
  }
  console.log(JSON.stringify({
    weights: basename(file, ".gguf").split(".").pop(),
    threads: count,
    prefill_tokens_per_second: best.prefill,
    // After the prompt.
    decode_tokens_per_second: best.decode,
    // Every tensor is read once a token; the file has a little more than those, its vocabulary.
    weight_bytes_per_token: bytes,
    weight_gb_per_second: (best.decode * bytes) / 1e9,
  }));
  await context.dispose();
}
await model.dispose();
await llama.dispose();
