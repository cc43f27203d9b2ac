//! The Azure simulator over real sockets.

mod entra;
mod lake;
mod management;
mod mutations;
mod sim;
mod storage;
