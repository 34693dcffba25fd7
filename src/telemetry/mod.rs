//! What the program tells about itself.

pub mod causes;
pub mod logs;
