//! `blyan`: the command line for people.

use blyan_cli::{
    account, chat, data, delegate, dev, health, model, out::Closed, pact, poll, process::Interrupted, receipt,
    referendum, round, stake, train, unbond, validators, verdict, vote, worker,
};
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// A blockchain whose state is an AI model.
///
/// Start with `blyan dev`: it runs a chain and a worker on this machine. Then, in another terminal, `blyan chat`.
#[derive(Parser, Debug)]
#[command(name = "blyan", version, arg_required_else_help = true, propagate_version = true)]
struct Cli {
    /// What to log on standard error, such as `debug` or `blyan_chain=trace`.
    #[arg(long, env = "BLYAN_LOG", default_value = "warn", global = true)]
    log: String,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Dev(dev::DevArgs),
    Chat(chat::ChatArgs),
    #[command(subcommand)]
    Model(model::ModelCommand),
    #[command(subcommand)]
    Worker(worker::WorkerCommand),
    #[command(subcommand)]
    Data(data::DataCommand),
    Train(Box<train::TrainArgs>),
    #[command(subcommand)]
    Round(round::RoundCommand),
    #[command(subcommand)]
    Verdict(verdict::VerdictCommand),
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    #[command(subcommand)]
    Account(account::AccountCommand),
    #[command(subcommand)]
    Stake(stake::StakeCommand),
    Delegate(delegate::DelegateArgs),
    #[command(subcommand)]
    Unbond(unbond::UnbondCommand),
    Validators(validators::ValidatorsArgs),
    #[command(subcommand)]
    Referendum(referendum::ReferendumCommand),
    Vote(vote::VoteArgs),
    #[command(subcommand)]
    Poll(poll::PollCommand),
    Pact(pact::PactArgs),
    #[command(subcommand)]
    Health(health::HealthCommand),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = match EnvFilter::try_new(&cli.log) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("error: --log {:?} is no filter: {error}", cli.log);
            return ExitCode::from(2);
        },
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let result = match cli.command {
        Command::Dev(args) => dev::run(args).await,
        Command::Chat(args) => chat::run(args).await,
        Command::Model(command) => model::run(command).await,
        Command::Worker(command) => worker::run(command).await,
        Command::Data(command) => data::run(command).await,
        Command::Train(args) => train::run(*args).await,
        Command::Round(command) => round::run(command).await,
        Command::Verdict(command) => verdict::run(command).await,
        Command::Receipt(command) => receipt::run(command).await,
        Command::Account(command) => account::run(command).await,
        Command::Stake(command) => stake::run(command).await,
        Command::Delegate(args) => delegate::run(args).await,
        Command::Unbond(command) => unbond::run(command).await,
        Command::Validators(args) => validators::run(args).await,
        Command::Referendum(command) => referendum::run(command).await,
        Command::Vote(args) => vote::run(args).await,
        Command::Poll(command) => poll::run(command).await,
        Command::Pact(args) => pact::run(args).await,
        Command::Health(command) => health::run(command).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough: that is no failure.
        Err(error) if error.is::<Closed>() => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<Interrupted>() {
            Some(interrupted) => {
                eprintln!("{interrupted}");
                ExitCode::from(interrupted.exit_code())
            },
            None => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The name of an argument that all commands have would be read as that one, of another type.
    #[test]
    fn no_command_takes_the_name_of_what_all_have() {
        fn check(command: &clap::Command, taken: &[&clap::Id]) {
            for inner in command.get_subcommands() {
                let twice = inner.get_arguments().find(|argument| taken.contains(&argument.get_id()));
                assert!(twice.is_none(), "{}: {twice:?}", inner.get_name());
                check(inner, taken);
            }
        }
        let command = Cli::command();
        let all: Vec<_> =
            command.get_arguments().filter(|argument| argument.is_global_set()).map(clap::Arg::get_id).collect();
        assert!(!all.is_empty());
        check(&command, &all);
    }
}
