//! The command line: one file per subcommand. Only here do errors become mere text.

mod audit;
mod budget;
mod client;
mod decision;
mod decision_answer;
mod execution;
mod guest_target;
mod halt;
mod listing;
mod llm;
mod plugin_build;
mod plugin_inspect;
mod plugin_install;
mod plugin_list;
mod plugin_new;
mod plugin_remove;
mod plugin_run;
mod plugin_sign;
mod policy_explain;
mod policy_preview;
mod policy_set;
mod policy_show;
mod policy_test;
mod question;
mod recorded;
mod replay;
mod serve;
mod task;
mod tenant_erase;
mod token;

use clap::{Parser, Subcommand};

/// The hidden subcommand that compiles one component in a process of its own.
pub const COMPILE_WORKER: &str = "compile-worker";

/// A host for operations agents that nobody has to trust.
#[derive(Parser)]
#[command(
    name = "mandate",
    bin_name = "mandate",
    version,
    propagate_version = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the host
    Serve(serve::Args),
    /// Make and list tokens, on the machine of a host that does not run
    #[command(subcommand)]
    Token(token::Command),
    /// What concerns all that a tenant has
    #[command(subcommand)]
    Tenant(Tenant),
    /// Verify, export and mark who did what
    #[command(subcommand)]
    Audit(audit::Command),
    /// Stop everything, a plugin or a tenant on a running host, until it is resumed
    Halt(halt::Args),
    /// Let go on what was halted
    Resume(halt::Resume),
    /// Write, build, inspect, install and run plugins
    #[command(subcommand)]
    Plugin(Plugin),
    /// Look at what was asked for, how far it is, and what it waits for
    #[command(subcommand)]
    Task(task::Command),
    /// Look at what agents may not decide alone, and answer it
    #[command(subcommand)]
    Decision(decision::Command),
    /// Look at how much of the policy's budgets is spent
    #[command(subcommand)]
    Budget(budget::Command),
    /// Look at who answers model calls
    #[command(subcommand)]
    Llm(llm::Command),
    /// Look at what agents ask people, and answer it
    #[command(subcommand)]
    Question(question::Command),
    /// Take what happened elsewhere: executions with their journals
    #[command(subcommand)]
    Execution(execution::Command),
    /// Run an execution again over its journal, without touching the world
    Replay(replay::Args),
    /// Look at, try and put the policy: what is judged how
    #[command(subcommand)]
    Policy(Policy),
    /// Compile one component from standard input to standard output
    #[command(name = COMPILE_WORKER, hide = true)]
    CompileWorker,
}

#[derive(Subcommand)]
enum Tenant {
    /// Make the journals of a tenant unreadable, for good
    Erase(tenant_erase::Args),
}

#[derive(Subcommand)]
enum Plugin {
    /// Begin a new plugin in a new folder
    New(plugin_new::Args),
    /// Make the one file that is the plugin
    Build(plugin_build::Args),
    /// Say what a plugin is and what it asks for, without running it
    Inspect(plugin_inspect::Args),
    /// Sign a plugin with its publisher's key
    Sign(plugin_sign::Args),
    /// List what is installed on a running host
    List(plugin_list::Args),
    /// Install or upgrade a plugin on a running host
    Install(plugin_install::Args),
    /// Remove a plugin from a running host; its records stay
    Remove(plugin_remove::Args),
    /// Run a plugin once, here, without a host
    Run(plugin_run::Args),
}

#[derive(Subcommand)]
enum Policy {
    /// Print the policy that counts on a running host
    Show(policy_show::Args),
    /// Put another policy on a running host
    Set(policy_set::Args),
    /// Try a policy on cases, here, without a host
    Test(policy_test::Args),
    /// Say which decisions of the last days would have gone otherwise
    Preview(policy_preview::Args),
    /// Say which rule gave a decision's verdict, on which facts
    Explain(policy_explain::Args),
}

/// Does what the command line says.
///
/// # Errors
/// Whatever went wrong, for people.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    if matches!(cli.command, Command::CompileWorker) {
        let status = mandate_runtime::compile_worker(std::io::stdin(), std::io::stdout())?;
        std::process::exit(status);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Token(command) => token::run(command).await,
            Command::Audit(command) => audit::run(command).await,
            Command::Task(command) => task::run(command).await,
            Command::Decision(command) => decision::run(command).await,
            Command::Budget(command) => budget::run(command).await,
            Command::Llm(command) => llm::run(command).await,
            Command::Question(command) => question::run(command).await,
            Command::Execution(command) => execution::run(command).await,
            Command::Replay(args) => replay::run(args).await,
            Command::Tenant(Tenant::Erase(args)) => tenant_erase::run(args).await,
            Command::Halt(args) => halt::run(args).await,
            Command::Resume(args) => halt::resume(args).await,
            Command::Plugin(Plugin::New(args)) => plugin_new::run(args).await,
            Command::Plugin(Plugin::Build(args)) => plugin_build::run(args).await,
            Command::Plugin(Plugin::Inspect(args)) => plugin_inspect::run(args).await,
            Command::Plugin(Plugin::Sign(args)) => plugin_sign::run(args).await,
            Command::Plugin(Plugin::List(args)) => plugin_list::run(args).await,
            Command::Plugin(Plugin::Install(args)) => plugin_install::run(args).await,
            Command::Plugin(Plugin::Remove(args)) => plugin_remove::run(args).await,
            Command::Plugin(Plugin::Run(args)) => plugin_run::run(args).await,
            Command::Policy(Policy::Show(args)) => policy_show::run(args).await,
            Command::Policy(Policy::Set(args)) => policy_set::run(args).await,
            Command::Policy(Policy::Test(args)) => policy_test::run(&args),
            Command::Policy(Policy::Preview(args)) => policy_preview::run(args).await,
            Command::Policy(Policy::Explain(args)) => policy_explain::run(args).await,
            Command::CompileWorker => Ok(()),
        }
    });
    // What still runs goes on at the next start; nobody waits for it here.
    runtime.shutdown_background();
    done
}
