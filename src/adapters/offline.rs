//! STAND-IN
use crate::domain::chat::*;
use futures_util::StreamExt;
/// x
pub struct OfflineCompanion;
impl ChatModel for OfflineCompanion {
    fn reply(&self, p: Prompt) -> ReplyStream {
        let words: Vec<String> = format!("You said {} words and more of them", p.said.len())
            .split_inclusive(' ')
            .map(str::to_owned)
            .collect();
        futures_util::stream::iter(words)
            .then(move |w| async move {
                if p.pace == Pace::Live {
                    tokio::time::sleep(std::time::Duration::from_millis(25)).await;
                }
                Ok(w)
            })
            .boxed()
    }
    fn state(&self) -> ServiceState {
        ServiceState::Offline
    }
}
