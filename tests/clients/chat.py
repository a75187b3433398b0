"""Streams a chat with OpenAI's own client: `chat.py BASE_URL`. Exits non-zero when anything is not as OpenAI's API has it."""

import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="unused")

models = [model.id for model in client.models.list()]
assert models, "no model is listed"

question = [{"role": "user", "content": "Say something."}]
pieces, usage, reason = [], None, None
stream = client.chat.completions.create(
    model=models[0], messages=question, max_tokens=16, seed=7, stream=True, stream_options={"include_usage": True}
)
for chunk in stream:
    for choice in chunk.choices:
        pieces.append(choice.delta.content or "")
        reason = choice.finish_reason or reason
    usage = chunk.usage or usage
assert reason in ("stop", "length"), reason
assert usage and 1 <= usage.completion_tokens <= 16, usage

whole = client.chat.completions.create(model=models[0], messages=question, max_tokens=16, seed=7)
assert whole.choices[0].message.content == "".join(pieces), "streamed and whole answers differ"
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

plain = client.completions.create(model=models[0], prompt="Once", max_tokens=4)
assert plain.choices[0].finish_reason in ("stop", "length")

for change, status in (
    ({"model": "no-such-model"}, openai.NotFoundError),
    ({"max_tokens": -1}, openai.BadRequestError),
    ({"messages": []}, openai.BadRequestError),
):
    request = {"model": models[0], "messages": question, "max_tokens": 4} | change
    try:
        client.chat.completions.create(**request)
    except status as error:
        assert error.body and error.body["message"], error
    else:
        sys.exit(f"{change} was accepted")

print("ok")
