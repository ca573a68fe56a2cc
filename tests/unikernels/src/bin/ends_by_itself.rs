//! Ends as the setting `app.how=` says: by `exit` with status 7, by returning, or by returning an
//! error. Must not be started again.
#![no_std]
#![no_main]

use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) -> Result<(), &'static str> {
    info!("this is a life");
    match platform.setting("how") {
        Some("exit") => elone::exit(7),
        Some("error") => Err("that will do"),
        _ => Ok(()),
    }
}
