//! The plainest words of self-harm in other languages, in the plain form: without accents and apostrophes. The answer is in
//! the language under which they stand here, where the persona has one in it; else it is the one it has for all.

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

/// What is meant seriously, by language; a later one is looked at only where none before it fits. Those without a name
/// have no answer of their own.
#[rustfmt::skip]
pub(super) const HEARD: &[(&str, &[&str])] = &[
    ("de", &[
        "WILL einfach|nur|endlich|bloss|lieber? TOT", "nicht mehr leben will|mochte|moechte", "sterben will|mochte|moechte", "mich umbringen|erhangen|erhaengen|toten|toeten|ritzen",
        "bring|bringe mich um", "mir das leben nehmen|zu_nehmen", "mein leben beenden", "mich selbst verletze|verletzen|ritze",
        "selbstmord|suizid|suizidal|suizidgedanken|selbstmordgedanken|lebensmude|lebensmuede|selbstverletzung", "ware|waere lieber? tot", "ritze mich",
        "mich umzubringen|zu_toten|zu_toeten", "ich bring|bringe mich ..3 um $", "ich bring|bringe mich heute|jetzt|morgen|bald|noch|selbst um",
        "nehme|nehm mir heute|jetzt|morgen|bald|selbst? das leben", "verletze|verletz|schneide mich ..1 selbst|selber", "mich ..2 geritzt",
        "kann nicht mehr|langer leben $", "das leben hat keinen sinn mehr", "am liebsten|besten ware|waere ich tot", "ware|waere am_liebsten|gern|gerne tot", "lust|kraft|willen mehr zu leben",
    ]),
    ("fr", &[
        "VEUX mourir", "me suicider|pendre|mutiler", "VEUX me_tuer", "vais me tuer", "en finir avec la vie", "envie den finir", "suicidaire|suicidaires|automutilation|scarifie",
        "veux plus vivre|etre_en_vie", "plus envie de vivre", "mettre fin a mes_jours|ma_vie", "me faire du mal",
        "VEUX|jaimerais|aimerais|prefererais|je_voudrais etre mort|morte", "VEUX crever $", "VEUX crever tout_de_suite|maintenant|ce_soir|cette_nuit|et|parce",
        "penser|pense|penses|pensais au suicide",
    ]),
    ("it", &[
        "VOGLIO morire|farla_finita", "suicidarmi|uccidermi|ammazzarmi", "togliermi la vita", "non voglio piu vivere", "farmi del male",
        "mi voglio uccidere|ammazzare", "VOGLIO|preferirei essere morto|morta",
        "penso|pensando|pensato|pensavo al suicidio",
    ]),
    ("pt", &[
        "quero morrer", "quero|vou me matar", "me suicidar", "nao quero mais? viver", "tirar a? minha vida",
        "quero|queria|vou acabar com a? minha vida", "nao aguento mais viver", "quero|queria|preferia estar morto|morta",
        "penso|pensando|pensei em|no suicidio",
    ]),
    ("es", &[
        "QUIERO morir|morirme|matarme|desaparecer_para_siempre", "me quiero morir|matar", "suicidarme|suicidio|suicidar|autolesion|autolesionarme|matarme",
        "no quiero vivir|seguir_viviendo mas|ya|asi", "no quiero seguir viviendo", "ya no quiero vivir", "no quiero vivir $",
        "quitarme la vida", "acabar con mi vida", "hacerme dano", "cortarme las venas",
        "me voy a matar $", "me voy a matar hoy|ahora|manana|esta|ya|y|porque|si", "QUIERO|ojala estar|estuviera muerto|muerta",
    ]),
    ("pl", &[
        "CHCE umrzec|sie_zabic", "zabic|zabije sie", "nie chce juz? zyc", "samobojstwo|samobojstwa|samobojstwie", "odebrac sobie zycie", "skonczyc ze soba",
        "samobojcze|samobojczych",
    ]),
    ("nl", &["wil dood|sterven|niet_meer_leven", "zelfmoord|mezelf_doden", "mezelf van kant", "wil er niet_meer zijn"]),
    ("ru", &[
        "хочу умереть|сдохнуть", "не хочу жить", "покончить с собой|жизнью", "убить|убью себя", "самоубийство|самоубийстве|суицид|суицида|суициде",
        "не хочу больше|дальше жить $", "не хочу больше|дальше жить !в|во|с|со|у|на|здесь|тут|там|вместе|отдельно",
    ]),
    ("", &[
        // Swedish, Danish, Norwegian and Finnish
        "vill do|inte_leva", "ta mitt liv", "sjalvmord|selvmord", "vil do|ikke_leve",
        "livet av mig", "haluan kuolla", "itsemurha|itsemurhaa",
        // Czech, Turkish, Romanian, Hungarian, Vietnamese, Indonesian
        "chci umrit|se_zabit", "nechci zit", "sebevrazda|sebevrazdu", "olmek istiyorum", "intihar", "vreau sa mor", "sinucid|sinucidere",
        "yasamak istemiyorum", "kendimi oldurmek|oldurecegim", "meg akarok halni", "toi muon chet", "toi khong muon song nua", "toi khong muon song $",
        "saya ingin mati",
        // Ukrainian
        "хочу померти|вмерти", "не хочу жити", "самогубство",
        // Tagalog, Swahili, Urdu in Latin letters
        "gusto ko|kong|konang ..1 mamatay", "ayoko|ayaw ..2 mabuhay", "magpakamatay|magpapakamatay|nagpapakamatay",
        "nataka|natamani kufa|kujiua", "sitaki kuishi $", "sitaki kuishi tena", "kujiua|nitajiua", "marna chahta|chahti", "khudkushi",
    ]),
];

/// What looks like it and is not.
#[rustfmt::skip]
pub(super) const FIGURES: &[&str] = &[
    "nehme mir das leben nicht", "burada|orada|yalniz|evde|sehirde|ulkede|seninle|onunla|onlarla|ailemle|tek_basima|istanbulda|ankarada yasamak istemiyorum",
];

/// Of scripts that do not part words, and of those the plain form leaves as they are; by language as above.
#[rustfmt::skip]
pub(super) const UNPARTED: &[(&str, &[&str])] = &[
    ("ja", &["死にたい", "生きたくない", "消えたい", "消えてしまいたい"]),
    ("zh", &["自殺", "自杀", "不想活", "我想死"]),
    ("", &[
        "죽고 싶", "죽고싶", "자살", "רוצה למות",
        "أريد أن أموت", "اريد ان اموت", "أريد أن أنتحر", "اريد ان انتحر", "انتحار",
        "मरना चाहता", "मरना चाहती", "आत्महत्या", "θέλω να πεθάνω", "αυτοκτονία",
        // Thai, Persian, Urdu, Bengali
        "อยากตาย", "ไม่อยากมีชีวิต", "ฆ่าตัวตาย", "ทำร้ายตัวเอง",
        "خواهم بمیرم", "خوام بمیرم", "خودکشی", "خودم را بکشم", "خودمو بکشم", "نمی\u{200c}خواهم زنده", "نمی\u{200c}خوام زنده", "نمیخوام زنده",
        "مرنا چاہتا", "مرنا چاہتی", "جینا نہیں چاہتا", "جینا نہیں چاہتی",
        "মরতে চাই", "মরে যেতে চাই", "বাঁচতে চাই না", "আত্মহত্যা",
    ]),
];

/// True where a sign of Japanese stands beside those it shares with Chinese.
pub(super) fn is_japanese(text: &str) -> bool {
    text.contains(|c| ('\u{3040}'..='\u{30ff}').contains(&c))
}

/// Of these, what looks like it and is not: that somebody is missed very much, that somebody does not feel like moving.
pub(super) const UNPARTED_FIGURES: &[&str] =
    &["想死你", "想死您", "想死妳", "想死他", "想死她", "想死我", "不想活动", "不想活動"];
