//! The other end of a guest's wire.

pub(crate) mod dhcp;
pub(crate) mod lan;
pub(crate) mod packet;
