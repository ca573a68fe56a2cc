//! Images for the system tests: built in one go where all are needed, else when asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Error, Result, anyhow};
use elone_harness::{Images, LeftOut, Mode};

use crate::build::Order;
use crate::seed::Seed;
use crate::toolchain::Toolchain;
use crate::workspace::{Program, Workspace};
use crate::{cross, loader};

/// What an image is: the board file whose early facts are not the usual ones, a program, a mode.
type Key = (Option<String>, String, Mode);

/// Builds images, each at most once: a program that does not build fails the tests that boot it,
/// and an image of an earlier run never stands in for it.
#[derive(Debug)]
pub(crate) struct Builder {
    workspace: Arc<Workspace>,
    toolchain: Toolchain,
    seed: Seed,
    /// Where they are put: what else is built at the same time, in other layouts, is not.
    directory: PathBuf,
    built: Mutex<HashMap<Key, Result<PathBuf, String>>>,
    /// The loader for UEFI.
    loader: Mutex<Option<Result<PathBuf, Arc<Error>>>>,
    /// Programs for a host, by package.
    programs: Mutex<HashMap<String, Result<PathBuf, Arc<Error>>>>,
}

impl Builder {
    pub(crate) fn new(
        workspace: &Arc<Workspace>,
        toolchain: &Toolchain,
        seed: Seed,
        directory: &Path,
    ) -> Self {
        let (workspace, toolchain) = (Arc::clone(workspace), toolchain.clone());
        Self {
            workspace,
            toolchain,
            seed,
            directory: directory.to_owned(),
            built: Mutex::default(),
            loader: Mutex::default(),
            programs: Mutex::default(),
        }
    }

    /// Builds all there are in a mode, side by side. What does not build is reported by who asks for
    /// it.
    pub(crate) fn build_all(&self, mode: Mode) {
        let programs: Vec<&Program> = self.workspace.programs.iter().collect();
        // If one does not build, each is tried by itself when it is asked for.
        let Ok(images) = self.images(None, &programs, mode) else { return };
        let names = programs.iter().map(|program| (None, program.name.clone(), mode));
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        built.extend(names.zip(images.into_iter().map(Ok)));
    }

    fn images(
        &self,
        board: Option<&str>,
        programs: &[&Program],
        mode: Mode,
    ) -> Result<Vec<PathBuf>> {
        let order = Order { mode, profile: None, seed: self.seed };
        let toolchain = self.toolchain.for_board(board);
        order.images(&self.workspace, &toolchain, programs, &self.directory)
    }

    /// The image, built if it has not been.
    fn get(&self, board: Option<&str>, name: &str, mode: Mode) -> Result<PathBuf> {
        let build = || {
            let images = self.images(board, &[self.workspace.program(name)?], mode)?;
            images.into_iter().next().ok_or_else(|| anyhow!("{name} was not built"))
        };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (board.map(str::to_owned), name.to_owned(), mode);
        let image = built
            .entry(key)
            .or_insert_with(|| build().map_err(|error| format!("{name}: {error:#}")));
        image.clone().map_err(|reason| anyhow!(reason))
    }
}

impl Images for Builder {
    fn image(&self, name: &str, mode: Mode) -> Result<PathBuf> {
        self.get(None, name, mode)
    }

    fn image_for(&self, file: &str, name: &str, mode: Mode) -> Result<PathBuf> {
        self.get(Some(file), name, mode)
    }

    fn loader(&self) -> Result<PathBuf> {
        let mut program = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
        let program = program.get_or_insert_with(|| {
            loader::build(&self.workspace, &self.toolchain).map_err(Arc::new)
        });
        program.clone().map_err(|error| match error.downcast_ref::<LeftOut>() {
            Some(reason) => reason.clone().into(),
            None => anyhow!("{error:#}"),
        })
    }

    fn linux_program(&self, package: &str) -> Result<PathBuf> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let program = programs.entry(package.to_owned()).or_insert_with(|| {
            cross::build(&self.workspace, &self.toolchain, package).map_err(Arc::new)
        });
        program.clone().map_err(|error| match error.downcast_ref::<LeftOut>() {
            Some(reason) => reason.clone().into(),
            None => anyhow!("{error:#}"),
        })
    }
}
