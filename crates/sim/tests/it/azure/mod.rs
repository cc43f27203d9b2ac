//! The Azure simulator over real sockets.

mod entra;
mod lake;
mod management;
mod sim;
mod storage;
