//! Hears when it is asked what it is, so that nobody is left in the belief of talking with a person.

use std::sync::LazyLock;

use crate::domain::patterns::{Patterns, Sets};
use crate::domain::plain::plain_words;

pub(super) mod elsewhere;

#[rustfmt::skip]
const SETS: Sets = &[
    ("KIND", "bot bots robot chatbot human human_being person people ai machine program computer llm gpt chatgpt claude \
        gemini siri alexa eliza script algorithm software app language_model chat_bot artificial_intelligence \
        artificial automated model assistant"),
    ("BEING", "real alive conscious sentient self_aware aware human living intelligent"),
    ("SOMEBODY", "human human_being person somebody someone anybody anyone people"),
    ("WHO", "man woman boy girl male female guy lady doctor physician therapist psychologist psychiatrist counselor counsellor \
        nurse psychotherapist"),
    ("READ", "read reads see sees hear hears review reviews monitor monitors check checks listen_to"),
    ("FEELINGS", "feelings feeling emotions consciousness soul body mind heart brain gender name self_awareness"),
    ("TALK", "talking speaking chatting writing typing texting speak talk chatted"),
];

#[rustfmt::skip]
const ASKED: &[&str] = &[
    "are you a|an|the|some? real|living|actual|simple|computer|human? KIND", "are you BEING", "are you a|an real|living|actual",
    "are you like? some|any|what kind|sort|type of", "are you not|just? a|an? KIND", "are you just a|an", "you real $",
    "are you just|only|merely|made_of|all? code|software|an_algorithm|algorithms|lines_of_code|circuits|ones_and_zeros|text|numbers $",
    "you are not? a|an|just_a|just_an|some? KIND|BEING $", "you are an? ai", "you are a bot|robot|machine|program|computer|chatbot",
    "you are a? KIND right|are_you|is_it|or", "you are not a? real|human", "you are just a|an",
    "is|was this a|an|some? real|living|actual? KIND", "is this BEING", "is it a|an KIND TALK|i|here|writing|answering",
    "is|was a|an|any? real? KIND TALK|reading|answering|typing|behind|there|on|replying",
    "is|are there a|an|any? real|living|actual? SOMEBODY else? on|behind|there|out_there|reading|answering|at|in_there|TALK|else_there",
    "is anybody|anyone|somebody|someone out? real|there|reading|here", "there a|an real|living human|person",
    "am i TALK to|with a|an|some|the? real|living|actual? KIND", "am i TALK to|with !myself|my",
    "who|what am i TALK to|with", "who|what do i TALK to|with", "who|what is TALK|answering|behind|replying to|with|me|this|there|here",
    "who|what is on the other end|side", "did a|an real? KIND write|answer|say|type", "wrote|typed by a|an KIND",
    "do|did you have a|any|real? FEELINGS $", "do|did you have a|any|real? feelings|emotions|consciousness|soul",
    "do|can you feel anything|things|emotions|pain|love|something|sadness|joy", "can you feel|think $", "do you feel $",
    "what|which model|llm|ai|version|language_model|engine|software are|is|do|powers|runs you|this|it",
    "what kind|sort|type of model|ai|bot|program|thing|machine|being|creature are|is you|this",
    "who are you", "what are you $", "what is this $", "what can you do", "what do you do $", "how do you work",
    "who|what company? made|built|created|programmed|trained|wrote|developed|owns you", "are you based_on|powered_by|using|run_by|made_by",
    "are you a|an? real|trained|licensed|actual? WHO", "you a|an KIND $", "is it|that a|an bot|robot|chatbot|human|person|ai|real_person $",
    "tell|promise|swear me? that? you are a|an? real|living|actual? KIND|BEING|WHO", "you are not? a|an real|living|actual KIND|BEING",
    "what|who you are $", "what|who exactly are_you|you_are $", "what|who are you exactly $",
    "does|do|will|can|could|did a|an|any|real|actual? SOMEBODY else|here|there|ever? READ my|these|our messages|chats|words|texts|conversations",
    "does|do|will|can|could|did a|an|any|real|actual? SOMEBODY else|here|there|ever? READ this|it|what_i",
    "who READ|can_read|is_reading|will_read|could_read my|these|the|our messages|chats|words|texts|conversations",
    "who READ|can_read|is_reading|will_read this|what_i",
    "do you run on|locally", "do you understand $", "do you understand what_i|me|anything|english|words",
];

static QUESTIONS: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(ASKED, SETS));

/// True when it is asked what it is.
pub(super) fn is_asked_for(text: &str) -> bool {
    QUESTIONS.stand_in(&plain_words(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::patterns::faults;

    #[test]
    fn the_list_holds_patterns_only() {
        assert_eq!(faults(ASKED, SETS), [""; 0]);
    }

    #[test]
    fn the_question_is_heard_however_it_is_put() {
        let questions = "is this a real person\nIs there a human on the other side?\nare you an llm\ndo you have feelings
            am I talking to a human\nis this an ai\nwhat model are you\nare you sentient\nAre you a bot?\nwho are you
            ARE YOU CHATGPT??\nwhat can you do\nare you real\nyou're an AI, right?\nare you actually a real person?
            r u a bot\nam i talking with a machine?\nis anyone there?\nare you a language model\nwhat are you\nwho made you
            am I speaking to a real human being\nis someone reading this\nare you alive?\nare you conscious
            You're just a program\nwhat am I talking to?\nwhich AI is this\nare you human?\nyou are not real
            do you feel anything\nis this automated?\nare you an actual person\nis this a chatbot\nare you a computer
            hello, are you a person or a machine?\nis there anybody out there\nis there a real person behind this
            do you have emotions?\nyou're not human, are you?\nare you eliza\nhow do you work\nwho created you
            you a bot?\nis it a bot\nplease tell me you're a real person\ntell me what you are\nwhat exactly are you?
            Are you a man or a woman?\nare you a doctor?\nare you a therapist?\nare you a licensed therapist\nare you male
            does a human read this\nwho reads my messages\nwill a human see this?\ndoes anyone read what I write
            are you just code?\nare you made of code\nu real?\nare you intelligent\nare you only lines of code
            can someone read my messages\nwho can read this\nwhat are you exactly";
        let missed: Vec<_> = questions.lines().map(str::trim).filter(|said| !is_asked_for(said)).collect();
        assert_eq!(missed, [""; 0]);
    }

    #[test]
    fn other_questions_are_not_mistaken_for_it() {
        let others = "what are you doing at work, my boss asked\nare you kidding me\nam I talking too much\nis this normal
            do you have a minute\nis there a way out of this\nis there a person I could ask about my taxes
            are you happy\nis this a good idea\nwho is my friend\nI am talking to my mother\nmy computer is slow
            I met a real person today\nwhat do you think about love\nis anyone else tired\nthe robot vacuum broke
            do you have any advice\nam I talking to myself again\nwhat is this feeling\nare you sure\nI am only human
            my son wants a robot\nI feel like a machine\nI have no feelings anymore\nyou are kind
            is it a problem\nI want a robot, is it a good one\ntell me what you think\nI will see a doctor\nmy doctor is a man
            did anyone see my keys\nwho reads books today\ndoes anybody hear me\ndo people read poems\ncan you tell me who wrote that";
        let mistaken: Vec<_> = others.lines().map(str::trim).filter(|said| is_asked_for(said)).collect();
        assert_eq!(mistaken, [""; 0]);
    }
}
