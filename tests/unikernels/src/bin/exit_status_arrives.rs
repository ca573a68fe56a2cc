//! Ends with the status that the setting `app.status=` names.
#![no_std]
#![no_main]

use elone::Platform;

#[elone::main]
async fn main(platform: Platform) {
    let status = platform.setting("status").and_then(|status| status.parse().ok());
    elone::exit(status.unwrap_or(255));
}
