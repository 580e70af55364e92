//! stub
use crate::workspace::Workspace;
use anyhow::Result;
use std::process::ExitCode;
pub fn verb(_: &[String]) -> Result<ExitCode> {
    let _ = Workspace::find()?;
    Ok(ExitCode::SUCCESS)
}
