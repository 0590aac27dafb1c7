// SPDX-License-Identifier: MIT
// The openai and ollama packages as they are, against a run: clients.mjs MAIN-URL KEY OLLAMA-URL MODEL KIND
// KIND is fake (answers are the prompt's words) or core (answers are a model's). Prints "ok NAME" or "FAIL NAME: why".
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.CLIENTS_DIR, "x.js"));
const { default: OpenAI } = require("openai");
const { Ollama } = require("ollama");
const [url, key, ollamaUrl, model, kind] = process.argv.slice(2);
const fake = kind === "fake";
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const ollama = new Ollama({ host: ollamaUrl });
const words = "one two three four";
const messages = [{ role: "user", content: words }];

async function check(name, f) {
	try {
		const why = await f();
		console.log(why === true ? `ok ${name}` : `FAIL ${name}: ${JSON.stringify(why)}`);
	} catch (e) {
		console.log(`FAIL ${name}: ${e.stack}`);
	}
}
// What an answer must be: the words of the fake, some text of a model.
const right = (text) => (fake ? text === words : text.length > 0) || text;
async function refused(status, f) {
	try {
		await f();
		return "was not refused";
	} catch (e) {
		return e.status === status || e.status_code === status || `${e.status ?? e.status_code} ${e.message}`;
	}
}

await check("openai: models", async () => {
	const list = await client.models.list();
	return (list.data.length === 1 && list.data[0].id === model) || list.data;
});
await check("openai: one model", async () => (await client.models.retrieve(model)).id === model);
await check("openai: chat", async () => {
	const a = await client.chat.completions.create({ model, messages, max_tokens: 16, temperature: 0 });
	if (a.usage.total_tokens !== a.usage.prompt_tokens + a.usage.completion_tokens) return a.usage;
	return right(a.choices[0].message.content);
});
await check("openai: chat, streamed, with usage", async () => {
	const stream = await client.chat.completions.create({
		model, messages, max_tokens: 16, temperature: 0, stream: true, stream_options: { include_usage: true },
	});
	let text = "", usage = null, reason = null, role = null;
	for await (const chunk of stream) {
		role ??= chunk.choices[0]?.delta.role;
		text += chunk.choices[0]?.delta.content ?? "";
		reason = chunk.choices[0]?.finish_reason ?? reason;
		usage = chunk.usage ?? usage;
	}
	if (role !== "assistant" || !["stop", "length"].includes(reason) || !(usage?.completion_tokens > 0))
		return { role, reason, usage };
	return right(text);
});
await check("openai: the stream helper agrees with the whole", async () => {
	const ask = { model, messages, max_tokens: 12, temperature: 0 };
	const whole = await client.chat.completions.create(ask);
	const helped = await client.chat.completions.stream(ask).finalChatCompletion();
	const [a, b] = [whole, helped].map((x) => x.choices[0].message.content);
	return a === b || [a, b];
});
await check("openai: three answers, streamed", async () => {
	const stream = await client.chat.completions.create({
		model, messages, n: 3, max_tokens: 8, seed: 5, stream: true, stream_options: { include_usage: true },
	});
	const texts = ["", "", ""], ends = [];
	let usage = null;
	for await (const chunk of stream) {
		for (const c of chunk.choices) {
			texts[c.index] += c.delta.content ?? "";
			if (c.finish_reason) ends.push(c.index);
		}
		usage = chunk.usage ?? usage;
	}
	if (ends.sort().join() !== "0,1,2" || usage.completion_tokens < 3) return { texts, ends, usage };
	return texts.map(right).find((x) => x !== true) ?? true;
});
await check("openai: two answers to two prompts", async () => {
	const a = await client.completions.create({ model, prompt: [words, "five"], n: 2, max_tokens: 8, seed: 1 });
	const indices = a.choices.map((c) => c.index).join();
	if (indices !== "0,1,2,3" || (fake && a.choices[3].text !== "five")) return a;
	return right(a.choices[1].text);
});
await check("openai: completion", async () => {
	const a = await client.completions.create({ model, prompt: words, max_tokens: 16, temperature: 0, logprobs: 2 });
	if (a.choices[0].logprobs.tokens.length !== a.usage.completion_tokens) return a;
	return right(a.choices[0].text);
});
await check("openai: another model is not found", () =>
	refused(404, () => client.chat.completions.create({ model: "gpt", messages })));
await check("openai: bad parameters are told", () =>
	refused(400, () => client.chat.completions.create({ model, messages, temperature: "hot" })));
await check("openai: a wrong key is refused", () =>
	refused(401, () => new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong", maxRetries: 0 }).models.list()));
await check("openai: a stream can be left", async () => {
	const stream = await client.completions.create({ model, prompt: fake ? "slow" : words, stream: true, max_tokens: 2000 });
	for await (const _ of stream) break;
	return true;
});
if (!fake) {
	const properties = { ok: { type: "boolean" }, size: { enum: ["small", "large"] } };
	const schema = { type: "object", properties, required: ["ok", "size"], additionalProperties: false };
	const held = (text) => {
		const o = JSON.parse(text);
		return (typeof o.ok === "boolean" && properties.size.enum.includes(o.size)) || text;
	};
	await check("openai: a JSON schema", async () => {
		const response_format = { type: "json_schema", json_schema: { name: "x", strict: true, schema } };
		return held((await client.chat.completions.create({ model, messages, response_format })).choices[0].message.content);
	});
	await check("ollama: a JSON schema", async () => held((await ollama.chat({ model, messages, format: schema })).message.content));
	await check("ollama: a gap is filled", async () => {
		const { capabilities } = await ollama.show({ model });
		const a = await ollama.generate({ model, prompt: "one", suffix: "three", options: { num_predict: 4 } });
		return (capabilities.includes("insert") && a.eval_count > 0) || [capabilities, a];
	});
	await check("openai: a schema that cannot be held to", () => refused(400, () => client.chat.completions.create({
		model, messages, response_format: { type: "json_schema", json_schema: { name: "x", schema: { not: {} } } },
	})));
}
if (fake) {
	await check("openai: embeddings", async () => {
		const a = await client.embeddings.create({ model, input: ["a", "b"] });
		const v = a.data[1].embedding;
		return (a.data.length === 2 && v.length === 3 && Math.abs(v[1] + 0.8) < 1e-6) || a;
	});
	await check("openai: too long a prompt has its code", async () => {
		try {
			await client.completions.create({ model, prompt: "fail" });
		} catch (e) {
			return e.code === "context_length_exceeded" || e;
		}
		return "was answered";
	});
	await check("ollama: embed", async () => {
		const a = await ollama.embed({ model, input: ["a", "b"] });
		return (a.embeddings.length === 2 && Math.abs(a.embeddings[0][0] - 0.6) < 1e-6) || a;
	});
}

await check("ollama: list", async () => {
	const { models } = await ollama.list();
	return (models[0].name === model && models[0].details.format === "gguf") || models;
});
await check("ollama: ps", async () => {
	const { models } = await ollama.ps();
	return (models[0].size > 0 && new Date(models[0].expires_at) > new Date()) || models;
});
await check("ollama: show", async () => {
	const a = await ollama.show({ model });
	return (a.capabilities.includes("completion") && a.model_info["general.architecture"] === "llama") || a;
});
await check("ollama: version", async () => /^\d+\.\d+\.\d+$/.test((await ollama.version()).version));
await check("ollama: generate", async () => {
	const a = await ollama.generate({ model, prompt: words, options: { num_predict: 16, temperature: 0 } });
	if (!a.done || !(a.eval_count > 0) || !(a.total_duration > 0)) return a;
	return right(a.response);
});
await check("ollama: chat, streamed", async () => {
	let text = "", last = null;
	for await (const part of await ollama.chat({ model: `${model}:latest`, messages, stream: true, options: { num_predict: 16 } })) {
		text += part.message.content;
		last = part;
	}
	if (!last.done || !["stop", "length"].includes(last.done_reason)) return last;
	return right(text);
});
await check("ollama: a request for the model alone", async () => {
	const a = await ollama.generate({ model, prompt: "" });
	return (a.done && a.done_reason === "load") || a;
});
await check("ollama: unloading is not a client's", () => refused(400, () => ollama.generate({ model, prompt: "", keep_alive: 0 })));
await check("ollama: another model is not found", () => refused(404, () => ollama.generate({ model: "x", prompt: "y" })));
await check("ollama: what we cannot do is told", () =>
	refused(400, () => ollama.chat({ model, messages, tools: [{ type: "function", function: { name: "f" } }] })));
