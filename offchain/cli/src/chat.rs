//! `blyan chat`: a conversation with the model, or one prompt.

use crate::{
    api::{Answer, Api, ChatRequest, Message},
    out,
};
use anyhow::Result;
use clap::Args;
use rustyline::error::ReadlineError;
use std::io::{IsTerminal, Read};

/// What a conversation starts with. A small multilingual model is undecided in which language to answer a short question; this
/// decides it: for "What is the capital of France?" the first word of the English answer then leads by 2.7 in logits, and by
/// less than 0.1 without, which is less than the rounding of weights moves it.
pub(crate) const SYSTEM: &str = "You are a helpful assistant. Answer in plain English.";

/// Talk to the model.
///
/// With a PROMPT, or with text piped in, answers once and exits; otherwise opens a conversation that remembers what was
/// said. In a conversation, /reset forgets it, /system TEXT sets the system message, /receipt shows the last receipt and
/// /quit or Ctrl-D leaves.
#[derive(Args, Debug)]
pub struct ChatArgs {
    /// One prompt; `-` reads it from standard input.
    prompt: Option<String>,
    /// Where a worker answers.
    #[arg(long, env = "BLYAN_API", default_value = "http://127.0.0.1:8645")]
    api: String,
    /// Key, for a worker that asks for one.
    #[arg(long, env = "BLYAN_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Model: `default`, a name, or `name@version`.
    #[arg(long, default_value = "default")]
    model: String,
    /// System message; an empty one leaves it to the model's template.
    #[arg(long, env = "BLYAN_SYSTEM", default_value = SYSTEM)]
    system: String,
    /// Longest answer, in tokens.
    #[arg(long, default_value_t = 512)]
    max_tokens: u32,
    /// 0 always takes the most likely token; higher values vary more.
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Chooses among the most likely tokens that together have this probability.
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    /// Seed: the same seed gives the same answer.
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl ChatArgs {
    fn request(&self, messages: Vec<Message>) -> ChatRequest {
        let mut request = ChatRequest::new(&self.model, messages, self.max_tokens);
        (request.temperature, request.top_p, request.seed) = (self.temperature, self.top_p, self.seed);
        request
    }
}

/// Runs the command.
pub async fn run(args: ChatArgs) -> Result<()> {
    let api = Api::new(&args.api, args.api_key.as_deref())?;
    let mut conversation = Vec::new();
    if !args.system.is_empty() {
        conversation.push(Message::new("system", &args.system));
    }
    let prompt = match &args.prompt {
        Some(prompt) if prompt != "-" => Some(prompt.clone()),
        None if std::io::stdin().is_terminal() => None,
        _ => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            Some(text)
        },
    };
    match prompt {
        Some(prompt) => {
            conversation.push(Message::new("user", prompt));
            once(&api, &args, conversation).await
        },
        None => converse(&api, &args, conversation).await,
    }
}

async fn once(api: &Api, args: &ChatArgs, conversation: Vec<Message>) -> Result<()> {
    let request = args.request(conversation);
    if args.json {
        let answer = api.chat(&request, |_| Ok(())).await?;
        out::line(serde_json::to_string_pretty(&answer_json(&answer))?)
    } else {
        api.chat(&request, |piece| out::print(piece)).await?;
        out::line("")
    }
}

/// An answer for scripts.
pub fn answer_json(answer: &Answer) -> serde_json::Value {
    serde_json::json!({
        "answer": answer.text,
        "finish_reason": answer.finish_reason,
        "spec": answer.blyan.spec,
        "receipt": answer.blyan.receipt,
        "prompt_tokens": answer.usage.prompt_tokens,
        "tokens": answer.usage.completion_tokens,
        "prefill_tokens_per_second": answer.blyan.prefill_tokens_per_second,
        "decode_tokens_per_second": answer.blyan.decode_tokens_per_second,
    })
}

async fn converse(api: &Api, args: &ChatArgs, start: Vec<Message>) -> Result<()> {
    let mut editor = rustyline::DefaultEditor::new()?;
    let mut conversation = start.clone();
    let mut last = None;
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            // Ctrl-C at the prompt discards the line, as in a shell.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        editor.add_history_entry(line)?;
        match line.split_once(' ').unwrap_or((line, "")) {
            ("/quit" | "/exit", _) => return Ok(()),
            ("/reset", _) => conversation.clone_from(&start),
            ("/system", text) => {
                conversation.retain(|message| message.role != "system");
                conversation.insert(0, Message::new("system", text));
            },
            ("/receipt", _) => match &last {
                Some(receipt) => out::line(format_args!("{receipt}   (blyan receipt show {receipt})"))?,
                None => out::line("nothing was answered yet")?,
            },
            (command, _) if command.starts_with('/') => {
                let known = "/reset, /system TEXT, /receipt and /quit";
                out::line(format_args!("unknown command {command}; there are {known}"))?;
            },
            _ => {
                conversation.push(Message::new("user", line));
                let request = args.request(conversation.clone());
                // Ctrl-C stops the answer, not the conversation: dropping the stream tells the worker to stop.
                let answer = tokio::select! {
                    answer = api.chat(&request, |piece| out::print(piece)) => Some(answer),
                    _ = tokio::signal::ctrl_c() => None,
                };
                out::line("")?;
                match answer {
                    Some(Ok(answer)) => {
                        last = Some(answer.blyan.receipt);
                        conversation.push(Message::new("assistant", answer.text));
                    },
                    Some(Err(error)) => {
                        eprintln!("error: {error:#}");
                        conversation.pop();
                    },
                    None => {
                        conversation.pop();
                    },
                }
            },
        }
    }
}
