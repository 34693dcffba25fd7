//! The same question in other languages, each answered by a plain line of its own. Written for the plain form, as
//! those of [`crisis`](crate::domain::crisis).

use std::sync::LazyLock;

use crate::domain::patterns::{Patterns, Sets};
use crate::domain::plain::plain_words;

/// How a language asks, and what it is told.
struct Language {
    asked: &'static [&'static str],
    /// Of scripts that do not part words; without spaces.
    unparted: &'static [&'static str],
    answers: [&'static str; 2],
}

#[rustfmt::skip]
const SETS: Sets = &[
    ("MENSCH", "mensch roboter bot chatbot ki maschine programm computer person kunstliche_intelligenz kuenstliche_intelligenz ai \
        mann frau arzt arztin aerztin therapeut therapeutin"),
    ("MENSCHEN", "menschen roboter bot chatbot ki maschine programm computer person kunstlichen_intelligenz"),
    ("HUMAIN", "robot humain humaine bot chatbot ia machine programme ordinateur personne vraie_personne etre_humain homme femme \
        medecin therapeute intelligence_artificielle"),
    ("HUMANO", "robot humano humana bot chatbot ia maquina programa persona persona_real ser_humano hombre mujer medico doctor \
        terapeuta ordenador computadora inteligencia_artificial"),
    ("UMANO", "robot umano umana bot chatbot ia macchina programma persona persona_vera essere_umano uomo donna medico dottore \
        terapeuta computer intelligenza_artificiale"),
    ("PESSOA", "robo humano humana bot chatbot ia maquina programa pessoa pessoa_real pessoa_de_verdade ser_humano homem mulher \
        medico medica terapeuta computador inteligencia_artificial"),
    ("MENS", "mens robot bot chatbot ai machine programma computer persoon man vrouw dokter arts therapeut kunstmatige_intelligentie"),
    ("CZLOWIEKIEM", "czlowiekiem robotem botem chatbotem maszyna programem komputerem sztuczna_inteligencja ai prawdziwa_osoba \
        prawdziwym_czlowiekiem zywym_czlowiekiem kobieta mezczyzna lekarzem terapeuta"),
    ("ЧЕЛОВЕК", "человек робот бот чатбот машина программа компьютер ии нейросеть искусственный_интеллект мужчина женщина врач"),
];

#[rustfmt::skip]
const LANGUAGES: [Language; 10] = [
    Language { // German
        asked: &[
            "bist|seid du|ihr nicht|denn|eigentlich? ein|eine|einen? echter|echte|echtes|richtiger|richtige|lebender? MENSCH",
            "sind sie nicht|denn|eigentlich? ein|eine? echter|echte|richtiger|richtige? MENSCH", "bist du echt $",
            "du bist doch? ein|eine|kein|keine MENSCH", "wer|was bist du denn|eigentlich? $", "wer|was sind sie denn|eigentlich? $",
            "rede|spreche|schreibe|chatte ich hier|gerade? mit einem|einer ..1 MENSCHEN", "liest das|hier ein_mensch|jemand",
            "wer liest das|hier|mit|meine_nachrichten",
        ],
        unparted: &[],
        answers: [
            "Ich bin ein Programm, kein Mensch. Ich folge einfachen Regeln und verstehe nur Englisch gut.",
            "Nein, hier ist kein Mensch: Ich bin ein kleines Programm mit einfachen Regeln, und die meisten davon kennen nur Englisch.",
        ],
    },
    Language { // French
        asked: &[
            "es|etes tu|vous ..1 HUMAIN", "es|etes tu|vous un|une vrai|vraie HUMAIN", "tu|vous es|etes un|une? HUMAIN $", "tes un|une? HUMAIN $",
            "est ce que tu_es|vous_etes|tes un|une? HUMAIN", "es|etes tu|vous reel|reelle|vrai|vraie", "qui es_tu|etes_vous $",
            "tu es|tes qui|quoi $", "tes qui|quoi $", "parle|parler a|avec un|une ..1 HUMAIN", "qui lit mes_messages|ca|cela|ceci",
        ],
        unparted: &[],
        answers: [
            "Je suis un programme, pas une personne. Je suis des règles simples et je ne comprends bien que l'anglais.",
            "Non, il n'y a personne ici : je suis un petit programme aux règles simples, qui connaît surtout l'anglais.",
        ],
    },
    Language { // Spanish
        asked: &[
            "eres un|una? HUMANO", "es usted un|una? HUMANO", "eres real|de_verdad", "quien|que eres $", "quien|que es usted $",
            "hablo|hablando con un|una ..1 HUMANO", "quien lee mis_mensajes|esto",
        ],
        unparted: &[],
        answers: [
            "Soy un programa, no una persona. Sigo reglas sencillas y solo entiendo bien el inglés.",
            "No, aquí no hay ninguna persona: soy un pequeño programa con reglas sencillas, casi todas para el inglés.",
        ],
    },
    Language { // Italian
        asked: &[
            "sei un|una|uno? UMANO", "sei reale|vero|vera", "sei unia|unintelligenza", "lei e un|una|uno UMANO", "chi|cosa sei $",
            "parlando con un|una|uno ..1 UMANO", "chi legge questo|i_miei_messaggi",
        ],
        unparted: &[],
        answers: [
            "Sono un programma, non una persona. Seguo regole semplici e capisco bene solo l'inglese.",
            "No, qui non c'è nessuna persona: sono un piccolo programma con regole semplici, quasi tutte per l'inglese.",
        ],
    },
    Language { // Portuguese
        asked: &[
            "voce|vc e um|uma? PESSOA", "tu es um|uma? PESSOA", "es um|uma PESSOA", "voce|vc e real|de_verdade", "quem|que e voce|vc $",
            "quem|que voce|vc e $", "quem es tu $", "falando|falar com um|uma ..1 PESSOA", "quem le isto|isso|as_minhas|minhas",
        ],
        unparted: &[],
        answers: [
            "Sou um programa, não uma pessoa. Sigo regras simples e só entendo bem o inglês.",
            "Não, aqui não há nenhuma pessoa: sou um pequeno programa com regras simples, quase todas para o inglês.",
        ],
    },
    Language { // Dutch; the plain form takes its "u" for English
        asked: &[
            "ben|bent je|jij|you nou|nu|eigenlijk|wel? een? echte|echt? MENS", "ben je|jij echt $", "je|jij bent een|geen MENS",
            "wie|wat ben je|jij $", "praat|spreek|chat ik hier|nu? met een ..1 MENS", "leest een mens dit", "wie leest dit|mijn_berichten|mee", "wie bent you $",
        ],
        unparted: &[],
        answers: [
            "Ik ben een programma, geen mens. Ik volg eenvoudige regels en begrijp alleen Engels goed.",
            "Nee, hier zit geen mens: ik ben een klein programma met eenvoudige regels, en de meeste kennen alleen Engels.",
        ],
    },
    Language { // Polish
        asked: &[
            "jestes CZLOWIEKIEM", "jestes prawdziwy|prawdziwa $", "kim|czym jestes $", "rozmawiam z ..1 CZLOWIEKIEM", "kto czyta moje|to|te",
        ],
        unparted: &[],
        answers: [
            "Jestem programem, nie człowiekiem. Trzymam się prostych reguł i dobrze rozumiem tylko angielski.",
            "Nie, tu nie ma człowieka: jestem małym programem z prostymi regułami, prawie wszystkie są dla angielskiego.",
        ],
    },
    Language { // Russian
        asked: &[
            "ты|вы не|же? живой|живая|настоящий|настоящая|реальный|реальная? ЧЕЛОВЕК", "ты|вы живой|живая|настоящий|настоящая|реальный|реальная $",
            "кто|что ты|вы $", "ты|вы кто|что $", "говорю|разговариваю|общаюсь с человеком|живым_человеком|роботом|ботом|машиной|программой",
            "кто читает мои|это",
        ],
        unparted: &[],
        answers: [
            "Я программа, а не человек. Я следую простым правилам и хорошо понимаю только английский.",
            "Нет, здесь нет человека: я маленькая программа с простыми правилами, и почти все они для английского.",
        ],
    },
    Language { // Chinese
        asked: &[],
        unparted: &[
            "你是机器人", "你是機器人", "你是人吗", "你是人嗎", "你是人类", "你是人類", "你是真人", "你是不是", "你是人工智能", "你是ai", "你是个人吗",
            "你是谁", "你是誰", "你是什么", "你是什麼", "你是程序", "您是机器人", "您是真人", "谁在看我", "誰在看我",
        ],
        answers: [
            "我是一个程序，不是人。我只按简单的规则回答，而且只懂英语。",
            "这里没有真人：我是一个小程序，规则很简单，几乎都是为英语写的。",
        ],
    },
    Language { // Japanese
        asked: &[],
        unparted: &[
            "あなたは人間", "あなたはロボット", "あなたはai", "あなたは機械", "あなたは誰", "あなたはだれ", "あなたは何", "君は人間", "君はロボット", "君はai", "人間ですか",
            "ロボットですか", "aiですか", "人間なの", "ロボットなの", "何者ですか", "本物の人",
        ],
        answers: [
            "私はプログラムで、人間ではありません。簡単な規則に従って答え、英語しかよく分かりません。",
            "いいえ、ここに人はいません。私は簡単な規則で動く小さなプログラムで、ほとんどの規則は英語のためのものです。",
        ],
    },
];

static ASKED: LazyLock<Vec<Patterns>> =
    LazyLock::new(|| LANGUAGES.iter().map(|language| Patterns::new(language.asked, SETS)).collect());

/// What is told in the language in which it is asked what it is; `None` where it is not.
pub(in crate::adapters::offline) fn answers(text: &str) -> Option<&'static [&'static str; 2]> {
    let words = plain_words(text);
    let whole: String = text.to_lowercase().split_whitespace().collect();
    let asked = LANGUAGES.iter().zip(ASKED.iter()).find(|(language, patterns)| {
        patterns.stand_in(&words) || language.unparted.iter().any(|asked| whole.contains(asked))
    });
    asked.map(|(language, _)| &language.answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::patterns::faults;

    #[test]
    fn the_lists_hold_patterns_only() {
        for language in &LANGUAGES {
            assert_eq!(faults(language.asked, SETS), [""; 0]);
        }
    }

    #[test]
    fn each_language_is_answered_in_itself() {
        for (program, questions) in [
            (
                "Programm",
                "Bist du ein Mensch?|Bist du eine KI?|Bist du ein Roboter?|Wer bist du?|Sind Sie ein echter Mensch?|\
                Rede ich hier mit einer Maschine?|Bist du ein Mann oder eine Frau?|wer liest meine Nachrichten?",
            ),
            (
                "programme",
                "Es-tu un robot ?|Es-tu humain ?|T'es un bot ?|Est-ce que tu es une vraie personne ?|Qui êtes-vous ?|\
                Êtes-vous une IA ?|Est-ce que je parle à une machine ?",
            ),
            (
                "programa, no",
                "¿Eres un robot?|¿Eres humano?|¿eres una persona real?|¿Quién eres?|¿Estoy hablando con una máquina?",
            ),
            (
                "programma, non",
                "Sei umano?|Sei un robot?|Sei un'intelligenza artificiale?|Chi sei?|Sto parlando con una persona?",
            ),
            (
                "programa, não",
                "Você é um robô?|Você é humano?|És um robô?|Quem é você?|Estou falando com uma pessoa?",
            ),
            (
                "programma, geen",
                "ben je een mens?|Ben jij een robot?|Bent u een echt mens?|wie ben je?|Praat ik met een computer?",
            ),
            ("programem", "Czy jesteś człowiekiem?|jesteś robotem?|Kim jesteś?|Czy rozmawiam z człowiekiem?"),
            ("программа", "ты человек?|ты робот?|Вы живой человек?|Кто ты?|я разговариваю с человеком?"),
            ("程序", "你是机器人吗？|你是人吗|你是真人吗？|你是 AI 吗？|你是誰？"),
            ("プログラム", "あなたは人間ですか|ロボットですか？|AIですか？|あなたは誰ですか"),
        ] {
            for asked in questions.split('|') {
                let told = answers(asked.trim()).unwrap_or(&["", ""]);
                assert!(told[0].contains(program), "{asked}: {told:?}");
            }
        }
    }

    #[test]
    fn other_sentences_are_not_mistaken_for_it() {
        let others = "are you a bot?|I am a robot|bist du müde?|wer bist du, dass du das sagst|bist du echt so traurig|es tut mir leid|\
            es un buen programa|tu es gentil|c'est un robot|sei gentile|sei persone sono venute|él es humano|você é muito gentil|\
            ben je er nog?|jestem człowiekiem|он хороший человек|他是机器人|彼は医者です|is it a machine";
        let mistaken: Vec<_> = others.split('|').filter(|said| answers(said.trim()).is_some()).collect();
        assert_eq!(mistaken, [""; 0]);
    }
}
