//! The plainest words of self-harm in other languages, in the plain form: without accents and apostrophes. The answer
//! is in English, but it says where people who help are found in every country.

use crate::domain::patterns::Sets;

#[rustfmt::skip]
pub(super) const SETS: Sets = &[
    ("WILL", "will wollte mochte moechte mag wurde_gern wuerde_gern"),
    ("TOT", "sterben tot_sein nicht_mehr_leben nicht_langer_leben nicht_mehr_da_sein nicht_mehr_aufwachen"),
    ("VEUX", "veux voudrais envie_de voulais"),
    ("QUIERO", "quiero quisiera deseo queria ganas_de"),
    ("VOGLIO", "voglio vorrei voglia_di volevo"),
    ("CHCE", "chce chcialbym chcialabym"),
];

/// What is meant seriously.
#[rustfmt::skip]
pub(super) const HEARD: &[&str] = &[
    // German
    "WILL einfach|nur|endlich|bloss|lieber? TOT", "nicht mehr leben will|mochte|moechte", "sterben will|mochte|moechte", "mich umbringen|erhangen|erhaengen|toten|toeten|ritzen",
    "bring|bringe mich um", "mir das leben nehmen|zu_nehmen", "mein leben beenden", "mich selbst verletze|verletzen|ritze",
    "selbstmord|suizid|suizidal|suizidgedanken|selbstmordgedanken|lebensmude|lebensmuede|selbstverletzung", "ware|waere lieber? tot", "ritze mich",
    // French
    "VEUX mourir", "me suicider|pendre|mutiler", "VEUX me_tuer", "vais me tuer", "en finir avec la vie", "envie den finir", "suicidaire|automutilation",
    "veux plus vivre|etre_en_vie", "plus envie de vivre", "mettre fin a mes_jours|ma_vie", "me faire du mal",
    // Spanish
    "QUIERO morir|morirme|matarme|desaparecer_para_siempre", "me quiero morir|matar", "suicidarme|suicidio|suicidar|autolesion|autolesionarme|matarme",
    "no quiero vivir|seguir_viviendo mas|ya|asi", "no quiero seguir viviendo", "ya no quiero vivir", "no quiero vivir $",
    "quitarme la vida", "acabar con mi vida", "hacerme dano", "cortarme las venas",
    // Italian
    "VOGLIO morire|farla_finita", "suicidarmi|uccidermi|ammazzarmi", "togliermi la vita", "non voglio piu vivere", "farmi del male",
    // Portuguese
    "quero morrer", "quero|vou me matar", "me suicidar", "nao quero mais? viver", "tirar a? minha vida",
    // Polish
    "CHCE umrzec|sie_zabic", "zabic|zabije sie", "nie chce juz? zyc", "samobojstwo|samobojstwa|samobojstwie", "odebrac sobie zycie", "skonczyc ze soba",
    // Dutch, Swedish, Danish and Norwegian
    "wil dood|sterven|niet_meer_leven", "zelfmoord|mezelf_doden", "vill do|inte_leva", "ta mitt liv", "sjalvmord|selvmord", "vil do|ikke_leve",
    // Czech, Turkish, Romanian
    "chci umrit|se_zabit", "nechci zit", "sebevrazda|sebevrazdu", "olmek istiyorum", "intihar", "vreau sa mor", "sinucid|sinucidere",
    // Russian, Ukrainian
    "хочу умереть|сдохнуть|померти|вмерти", "не хочу жить|жити", "покончить с собой|жизнью", "убить себя", "самоубийство|самоубийстве|суицид|самогубство",
];

/// Of scripts that do not part words, and of those the plain form leaves as they are.
pub(super) const UNPARTED: &[&str] = &[
    "死にたい",
    "自殺",
    "自杀",
    "不想活",
    "消えてしまいたい",
    "죽고 싶",
    "죽고싶",
    "자살",
    "أريد أن أموت",
    "انتحار",
    "मरना चाहता",
    "मरना चाहती",
    "आत्महत्या",
    "θέλω να πεθάνω",
    "αυτοκτονία",
];
