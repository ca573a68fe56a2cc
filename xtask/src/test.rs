//! (being written)
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}
pub(crate) fn main(_: &Arguments) -> anyhow::Result<std::process::ExitCode> { anyhow::bail!("not written yet") }
