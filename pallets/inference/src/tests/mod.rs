mod anchors;
mod channels;
mod pruning;
mod receipts;
mod state;
mod sums;
mod sweeping;
mod vouchers;
