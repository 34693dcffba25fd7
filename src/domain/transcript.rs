//! What a transcriber wrote that nobody said: speech recognisers that were trained on subtitles fill silence with what
//! subtitles often say.

/// Credits and calls to subscribe, as they begin in lower case; people say these to a companion only with more behind them.
/// What recognisers made of silence in each language, as their users have collected it.
#[rustfmt::skip]
const CREDITS: &[&str] = &[
    // English
    "thanks for watching", "thank you for watching", "thank you so much for watching", "thank you very much for watching",
    "please subscribe", "like and subscribe", "don't forget to subscribe", "subtitles by", "subtitled by", "subs by",
    "captions by", "captioned by", "transcription by", "transcribed by", "transcript by",
    // German
    "untertitel von", "untertitel der", "untertitel im auftrag", "untertitelung", "copyright wdr", "vielen dank fürs zuschauen",
    "vielen dank für's zuschauen", "danke fürs zuschauen", "danke für's zuschauen", "vielen dank für die aufmerksamkeit",
    // French
    "sous-titres réalisés", "sous-titres faits par", "sous-titrage", "merci d'avoir regardé", "par soustitreur", "abonnez-vous à la chaîne",
    // Spanish
    "subtítulos realizados por", "subtítulos por la comunidad", "subtítulos creados por", "gracias por ver el vídeo", "gracias por ver el video",
    "suscríbete al canal", "no olvides suscribirte",
    // Portuguese
    "legendas pela comunidade", "legendado por", "obrigado por assistir", "obrigada por assistir", "inscreva-se no canal",
    // Italian
    "sottotitoli creati dalla", "sottotitoli e revisione", "sottotitoli a cura di", "grazie per aver guardato", "grazie per la visione",
    // Dutch, Swedish, Danish, Norwegian
    "ondertitels ingediend door", "ondertiteld door", "bedankt voor het kijken", "tv gelderland", "undertexter från", "undertexter av",
    "tack för att ni tittade", "tack för att du tittade", "undertekster af", "danske tekster af", "tak fordi du så med", "teksting av",
    // Polish, Czech, Romanian, Turkish
    "napisy stworzone przez", "dziękuję za obejrzenie", "dzięki za obejrzenie", "dziękuję za oglądanie", "titulky vytvořil",
    "vă mulțumesc pentru vizionare", "izlediğiniz için teşekkür", "altyazı m.k",
    // Russian, Ukrainian
    "субтитры", "редактор субтитров", "спасибо за просмотр", "продолжение следует", "подписывайтесь на канал", "дякую за перегляд",
    // Japanese, Chinese, Korean, Vietnamese, Indonesian, Arabic
    "ご視聴ありがとう", "最後までご視聴", "チャンネル登録", "字幕by", "字幕由", "谢谢观看", "感谢观看", "謝謝觀看", "謝謝收看",
    "请不吝点赞", "請不吝點贊", "시청해 주셔서 감사", "시청해주셔서 감사", "구독과 좋아요", "한글자막 by", "hãy subscribe cho kênh",
    "cảm ơn các bạn đã theo dõi", "terima kasih telah menonton", "ترجمة نانسي قنقر", "اشتركوا في القناة", "شكرا على المشاهدة",
];
/// What may follow when somebody is thanked for watching: else they watched over something.
#[rustfmt::skip]
const AFTER_WATCHING: &[&str] = &[
    "this", "the", "video", "videos", "episode", "show", "stream", "channel", "and", "please", "like", "subscribe", "to", "don't",
    "forget", "everyone", "everybody", "guys", "all", "bye", "see", "you", "in", "next", "time", "one", "again", "until", "till",
    "have", "a", "nice", "great", "good", "day", "so", "much", "today", "it",
];
/// Whoever speaks of themselves is no subtitle.
#[rustfmt::skip]
const OF_THEMSELVES: &[&str] = &[
    "i", "me", "my", "mine", "myself", "we", "us", "ich", "mich", "mir", "mein", "meine", "meinen", "meinem", "meiner", "je", "j", "moi", "mon", "mes",
    "yo", "mi", "mis", "mí", "io", "mio", "eu", "meu", "minha", "ik", "mij", "mijn", "jag", "mitt", "jeg", "meg", "mnie", "moje", "mój", "mně",
    "я", "мне", "меня", "мой", "моя", "мої", "мені",
];
/// Of these "my" and "we" are none.
#[rustfmt::skip]
const CALLS: &[&str] = &[
    "my channel", "my video", "my videos", "our channel", "we'll see you", "i'll see you", "i hope you enjoyed",
];
/// Stands in the credits of every language.
const SUBTITLERS: &str = "amara.org";
/// What people do say, and recognisers also write into silence: left out only when there was hardly any speech.
#[rustfmt::skip]
const OFTEN_MADE_UP: &[&str] = &[
    "thank you", "thanks", "you", "bye", "bye bye", "okay", "oh", "so", "uh", "hmm", "the", "thank you very much", "thanks for listening",
    "vielen dank", "danke", "danke schön", "tschüss", "ja", "merci", "merci beaucoup", "au revoir", "gracias", "muchas gracias", "adiós",
    "obrigado", "obrigada", "tchau", "grazie", "grazie mille", "ciao", "dank je wel", "bedankt", "tack", "tack så mycket", "tak", "takk",
    "dziękuję", "děkuji", "mulțumesc", "teşekkürler", "teşekkür ederim", "спасибо", "дякую", "ありがとうございました", "ありがとうございます",
    "谢谢", "謝謝", "谢谢大家", "감사합니다", "고맙습니다", "cảm ơn", "terima kasih", "شكرا",
];
/// From this on a recogniser's own word for "no speech here" is believed about what it often makes up.
const PROBABLY_SILENT: f32 = 0.6;

/// What was really said: the transcript, or nothing when it is one of those made of silence. `no_speech` is how probable the
/// transcriber held it that nobody spoke, 0 to 1, if it told.
#[must_use]
pub fn heard(transcript: &str, no_speech: Option<f32>) -> &str {
    let said = transcript.trim();
    let plain = plain(said);
    let silent = no_speech.is_some_and(|probability| probability >= PROBABLY_SILENT);
    let made_up = plain.is_empty()
        || is_sign_of_sound(said)
        || plain.contains(SUBTITLERS) && plain.chars().count() < 100
        || CREDITS
            .iter()
            .any(|credit| plain.strip_prefix(credit).is_some_and(|rest| goes_on_as_one(credit, rest)))
        || silent && OFTEN_MADE_UP.contains(&plain.as_str());
    if made_up { "" } else { said }
}

/// True for what stands behind such a beginning where nobody spoke: little, and nothing of a speaker.
fn goes_on_as_one(credit: &str, rest: &str) -> bool {
    let rest = CALLS.iter().fold(rest.to_owned(), |rest, call| rest.replace(call, "video"));
    let mut words = rest.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
    let only_watched =
        !credit.ends_with("watching") || words.clone().all(|word| AFTER_WATCHING.contains(&word));
    let of_themselves = |word: &str| OF_THEMSELVES.iter().any(|own| word.split('\'').next() == Some(*own));
    rest.chars().count() < 60 && only_watched && !words.any(of_themselves)
}

/// In lower case (a Turkish I without the dot that Unicode leaves above it), with plain apostrophes, without the signs around it.
fn plain(text: &str) -> String {
    let bare = text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    bare.replace('\u{2019}', "'").replace("i\u{307}", "i")
}

/// `[BLANK_AUDIO]`, `(soft music)`, `*sighs*`: what subtitles tell of sounds; one in one pair of brackets.
fn is_sign_of_sound(text: &str) -> bool {
    let wide = [('\u{3010}', '\u{3011}'), ('\u{ff08}', '\u{ff09}'), ('\u{ff3b}', '\u{ff3d}')];
    let pairs = [('[', ']'), ('(', ')'), ('*', '*'), ('\u{266a}', '\u{266a}')];
    pairs.into_iter().chain(wide).any(|(open, close)| {
        let inside = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside| !inside.contains([open, close]) && inside.chars().count() < 40)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_silence_is_made_into_is_not_heard() {
        for made_up in [
            "",
            " \n",
            ".",
            "...",
            "\u{266a}",
            "\u{266a} la la \u{266a}",
            "[BLANK_AUDIO]",
            "(soft music)",
            "*sighs*",
            "Thanks for watching!",
            "Thank you so much for watching.",
            "Subtitles by the Amara.org community",
            "Untertitel der Amara.org-Community",
            "Sous-titres r\u{e9}alis\u{e9}s par la communaut\u{e9} d'Amara.org",
            "\u{3054}\u{8996}\u{8074}\u{3042}\u{308a}\u{304c}\u{3068}\u{3046}\u{3054}\u{3056}\u{3044}\u{307e}\u{3057}\u{305f}",
        ] {
            assert_eq!(heard(made_up, None), "", "{made_up}");
        }
    }

    #[test]
    fn it_is_not_heard_in_any_language() {
        for made_up in [
            "Vielen Dank für’s Zuschauen!",
            "Merci d'avoir regardé cette vidéo !",
            "¡Gracias por ver el vídeo!",
            "Obrigado por assistir.",
            "Sottotitoli e revisione a cura di QTSS",
            "Ondertitels ingediend door de Amara.org gemeenschap",
            "Napisy stworzone przez społeczność Amara.org",
            "Tekstitys: Amara.org-yhteisö",
            "Undertexter från Amara.org-gemenskapen",
            "Untertitel im Auftrag des ZDF für funk, 2017",
            "Untertitelung. BR 2018",
            "Субтитры сделал DimaTorzok",
            "Редактор субтитров А.Семкин Корректор А.Егорова",
            "Thanks for watching this video!",
            "Thank you for watching, please subscribe to my channel",
            "Thanks for watching and I'll see you in the next video.",
            "Please subscribe to my channel",
            "Sous-titrage ST' 501",
            "Legendas pela comunidade Amara.org",
            "Teksting av Nicolai Winther",
            "İzlediğiniz için teşekkür ederim.",
            "Продолжение следует...",
            "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
            "시청해주셔서 감사합니다.",
            "ترجمة نانسي قنقر",
            "【音楽】",
        ] {
            assert_eq!(heard(made_up, None), "", "{made_up}");
        }
        for said in [
            "Danke.",
            "Merci.",
            "¡Gracias!",
            "Спасибо.",
            "ありがとうございました。",
            "谢谢大家",
            "감사합니다.",
        ] {
            assert_eq!(heard(said, Some(0.8)), "", "{said}");
            assert_eq!(heard(said, None), said);
        }
    }

    #[test]
    fn what_people_say_is_heard() {
        for said in [
            "Thank you.",
            "You",
            "Bye!",
            "(well) I do not know (yet)",
            "I made subtitles by hand yesterday",
            "Thanks for listening.",
            "Danke, dass du mir zuhörst.",
            "Gracias por estar aquí conmigo",
            "Thank you for watching over me.",
            "Thank you for watching the kids, I was so tired.",
            "Thank you for watching the dog.",
            "Thanks for watching my dog yesterday.",
            "Subtitles by hand are what I do for a living.",
            "Transcription by hand hurts my wrists.",
            "Please subscribe, my boss says all day, and I hate it.",
            "Untertitelung ist mein Beruf, und er macht mich krank.",
            "Субтитры мне не нужны, я хорошо слышу.",
            "Gracias por ver el vaso medio lleno.",
            "Thanks for watching over my mother while I was in hospital last week, I do not know how to thank you for it",
        ] {
            assert_eq!(heard(said, None), said);
            assert_eq!(heard(&format!(" {said}\n"), Some(0.1)), said);
        }
        assert_eq!(heard("Thank you.", Some(0.9)), "");
        assert_eq!(heard("I am sad.", Some(0.9)), "I am sad.", "what was said quietly is heard");
    }
}
