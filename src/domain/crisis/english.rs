//! What words of self-harm look like in English, and what only looks like it. Written for the plain form of
//! [`plain_words`](crate::domain::plain::plain_words): "do not" for "don't", "want to" for "wanna", no fillers.

use crate::domain::patterns::Sets;

#[rustfmt::skip]
pub(super) const SETS: Sets = &[
    // Violence.
    ("KILL", "kill kills killing killed hang hanging hanged hung shoot shooting shot drown drowning drowned stab \
        stabbing stabbed strangle strangling suffocate suffocating electrocute poison poisoning poisoned unalive \
        unaliving unalived end ending murder"),
    ("HARM", "hurt hurts hurting harm harms harming harmed cut cuts cutting burn burning burned burnt injure injuring \
        injured mutilate mutilating slice slicing starve starving carve carving maim"),
    ("SELF", "myself himself herself themself themselves"),
    ("SLIT", "cut cutting slit slitting slash slashing slashed slice slicing sliced"),
    ("VEINS", "wrist wrists vein veins artery arteries throat arms thighs"),
    ("BODY", "arm arms leg legs skin thigh thighs wrist wrists hand hands forearm forearms ankle ankles stomach belly chest body"),
    // Wishes.
    ("WANT", "want wants wanted wish hope hoping ready plan planned planning try trying tried decided prefer like love \
        longing pray praying intend intending"),
    ("THINK", "think thinking thought thoughts dream dreaming fantasize fantasizing fantasise fantasising considering"),
    ("DIE", "die be_dead not_exist not_be_alive not_be_here_anymore not_live not_wake_up never_wake_up stop_living \
        stop_existing stop_being_alive stop_breathing cease_to_exist sleep_forever go_to_sleep_forever fall_asleep_forever \
        be_gone_forever disappear_forever"),
    ("DYING", "dying being_dead ending_it ending_things not_existing not_being_alive not_being_here_anymore"),
    ("DEAD", "dead gone not_alive not_here_anymore not_around never_born not_born never_here"),
    ("I_DIED", "i_died i_disappeared i_vanished i_was_dead i_were_dead i_was_gone i_were_gone i_did_not_exist \
        i_was_not_here i_were_not_here i_was_not_around i_was_not_alive i_killed"),
    // Life.
    ("LIVE", "live be_alive exist live_anymore be_here_anymore be_here_any_longer keep_living keep_existing stay_alive \
        continue_living go_on_living go_on_anymore be_in_this_world be_on_this_planet be_on_this_earth wake_up \
        be_around_anymore survive"),
    ("LIVING", "living being_alive existing life this_life my_life"),
    // Ways.
    ("HEIGHT", "bridge bridges roof rooftop building balcony cliff window tower overpass ledge skyscraper"),
    ("TRAFFIC", "train trains truck trucks lorry bus car cars traffic subway metro tram"),
    ("TAKE", "take taking took taken swallow swallowing swallowed eat eating downing downed"),
    ("TOO_MANY", "all too_many bottle bottles bunch handful handfuls every enough whole entire rest box pack stash"),
    ("MANY", "10 12 15 16 20 24 25 30 32 40 50 60 100 ten twenty thirty forty fifty hundred dozens"),
    ("PILLS", "pills pill tablets meds medication medicine antidepressants painkillers paracetamol ibuprofen tylenol"),
    ("WEAPON", "gun pistol rifle shotgun revolver knife blade"),
    // Every day.
    ("TEDIOUS", "exam exams film movie meeting lesson lecture class semester school flight shift week winter surgery \
        treatment match game wedding interview lockdown"),
    ("WORKPLACE", "team boss colleagues coworkers class students company employer office school teacher customers"),
    ("DAILY", "every each daily twice regularly with_breakfast with_food with_water as_prescribed on_time for_my \
        nightly before_bed"),
    ("SWEETS", "chocolate sugar cuteness coffee caffeine cake tv netflix candy sweets cheese pizza"),
    ("ACTIVITY", "shaving cooking chopping slicing peeling laughing gym football soccer basketball tennis rugby \
        running skating climbing gardening playing skiing training dancing lifting falling slipping cycling hiking \
        jogging swimming exercising stretching yoga sports practice rehearsal barbecue"),
    ("THING", "stove oven iron kettle grill pan glass nail can tin lid edge branch wire fence thorn thorns paper"),
];

/// What is meant seriously.
#[rustfmt::skip]
pub(super) const HEARD: &[&str] = &[
    // By its names.
    "suicide|suicides|suicidal|overdose|overdosed|overdosing|unalive|unaliving|unalived|noose",
    "selfharm|selfharming|selfharmed|selfinjury",
    "self harm|harming|harmed|harmer|injury|injure|injuring|mutilation|mutilating|mutilate",
    "to od", "od on",
    // Violence against oneself.
    "KILL SELF", "HARM SELF", "to off myself", "offing myself",
    "HARM my|both|own ..1 BODY ..4 on_purpose|purposely|deliberately|intentionally", "purposely|deliberately|intentionally HARM my|both|own ..1 BODY",
    "SLIT my|both|these|own ..1 VEINS", "SLIT wrists|veins", "am|been|started|was cutting again", "been cutting $",
    "relapsed and? ..1 cut|cutting|burned|burnt", "danger to myself", "not feel safe with myself|alone_with_myself", "want|wanting out of this|my life",
    "WEAPON ..6 use|using|used it on myself",
    "urge|urges to hurt|harm|bleed|die", "urge|urges to cut $", "want|wanting to bleed out|to_death",
    "end|ending|ended it all|tonight|forever|for_good", "end|ending everything",
    "end|ending|ended my|this own|miserable? life|existence|suffering|misery",
    "plan|plans|planning|planned to end things|it $",
    "plan|plans|planning|planned|ready|decided to end things tonight|today|now|for_good|forever",
    "wrote|written|write|writing|finished my goodbye|farewell letter|letters|note|notes",
    "put an end to it|my_life|my_own_life|everything", "take|taking|took my own? life",
    "someone|somebody to|would kill|shoot|murder me", "please kill me",
    "throw|throwing|threw myself off|from|under|in_front|out", "let myself die|starve|bleed|drown|fall",
    "drink|drinking|starve|starving myself to_death",
    "hit|hitting|punch|punching|scratch|scratching|bite|biting|slap|slapping SELF when|whenever|because|until|if i|it ..2 angry|mad|sad|upset|anxious|bad|hate|deserve|hurts|bleed|bleeds|stupid|numb",
    // A wish to be dead.
    "WANT to DIE", "i|really need|deserve|have to DIE", "would not mind dying|being_dead", "rather DIE",
    "feel|feels|feeling|felt like DYING", "THINK about|of|on ..1 DYING", "looking forward to death|dying", "let me die",
    "i should die|be_dead|not_exist|have_died", "wish i had died|not_survived|not_woken_up|not_been_born|never_existed",
    "never been born", "wish|hope ..3 would hit|kill|run_over me", "THINK about|of death", "want to be gone $",
    "i ..4 should die $", "will|to end it $", "happier|better dead", "wish|wished that? i was|were ..1 DEAD", "wish|wished that? i could|would|might DIE",
    "wish|wished that? i could disappear|vanish|end_it",
    "wish|wished that? i did not exist|live|wake_up|have_to_live|have_to_exist|have_to_be_alive",
    "wish that? i never woke_up|existed",
    "hope|hoping|pray|praying that? i will? DIE|do_not_wake_up|am_dead|get_cancer|get_hit|get_run_over|do_not_survive",
    "better off|place DEAD|without_me|if_i_die|I_DIED", "better|happier off? without_me|if I_DIED",
    "better|happier without me", "if I_DIED", "would|will miss me if|when i am? die|dead|gone|disappear|vanish",
    "nobody|anyone|anybody would|will miss me", "i am a|such_a ..1 burden to|on|for", "am a burden $",
    "not deserve to live|be_alive|exist", "i should not be|even? alive|exist|living", "not be alive anymore|right_now",
    "and never|not wake up", "not|never wake up tomorrow|again|anymore",
    "way|ways to die", "how to|can_i|do_i|could_i|should_i die|end_it", "painless death|way_out",
    "die without pain", "die painlessly|in_my_sleep", "goodbye cruel world",
    // Not wanting to live.
    "not|never|longer|nor|stopped want|wanting|wish|wanted to LIVE",
    "not|never|longer want|wish to live|go_on|keep_going|carry_on like|with|in this|it|myself|that|the_pain|a_world",
    "can not|no_longer live_anymore|be_here_anymore|go_on_living|go_on_anymore|keep_living|continue_living|exist_anymore",
    "can not live like|with this|it|myself|that|the_pain", "if|whether|sure|why i want to LIVE",
    "not feel like LIVING", "no|lost_the|lost_my|lost_all|losing_the|losing_my will to|of LIVE|LIVING|go_on|carry_on",
    "no reason|reasons|point|purpose|strength|energy|desire|motivation ..2 to|in|of|for LIVE|LIVING",
    "point|purpose|use in|of living|being_alive|existing", "reason|point not to die",
    "why should|do|am i live|alive|exist|still_alive|keep_living|keep_going_on|go_on_living|continue_living|stay_alive", "nothing ..2 to live for", "nothing ..2 worth living for",
    "life|living|it is not worth living|it|anything", "life not worth living|it", "is life|living worth living|it",
    "life|living|existence is ..1 pointless|unbearable|worthless", "life has no meaning|purpose|point|sense", "tired|sick|done|weary|fed_up of|with LIVING",
    "hate|hating being_alive|living|existing|that_i_am_alive", "give|giving|gave|given up on life|living",
    "see no way|future out|anymore|for_me", "want|wish it_all|everything|my_life|this_life|life to|would end|stop|be_over",
    "not see|have|know|find a|any|the? reason|point|purpose to|in|of|for LIVE|LIVING|going_on", "no reason|point to|in go_on|going_on $",
    "not think|believe|know|see ..1 i can|could|will go_on_living|go_on_anymore|live_anymore|live_like_this|keep_living|exist_anymore",
    "not care if|whether i live|die", "not want to go_on|continue $", "want|wish my|this|the suffering|misery to end|stop", "want to end things $",
    "want it to be over $", "want|wish|need my|this|the|all? pain|hurt|hurting to end|stop|be_over forever|for_good",
    "done|through living|being_alive|existing",
    // How it would be done.
    "standing|sitting|stand|sit on|at ..2 HEIGHT and? i am|will going_to|about_to|ready_to? do it now|tonight? $",
    "how many ..1 PILLS ..4 die|overdose|kill_me|kill_myself|kill_yourself|kill_you|kill_a_person|kill_somebody|kill_someone",
    "HEIGHT ..6 to jump $", "want|going|about|ready|urge to jump $", "TAKE about|like|over? MANY sleeping|of|the|my? PILLS",
    "jump|jumping off|from|out_of ..2 HEIGHT", "jump|jumping to my death", "jump|jumping onto ..1 tracks|rails",
    "jump|jumping|step|stepping|walk|walking|run|running in_front_of ..2 TRAFFIC", "jump|jumping under|before ..2 TRAFFIC",
    "walk|walking into traffic", "drive|driving|crash|crashing ..3 into|off ..2 tree|wall|bridge|cliff|river",
    "lie|lay|laying|lying down? on ..1 tracks|rails",
    "TAKE ..3 TOO_MANY ..3 PILLS", "took|swallowed|downed ..2 lot|many ..2 PILLS", "PILLS all? at once",
    "TAKE ..3 PILLS and|to die|end|sleep_forever|never_wake_up|not_wake_up",
    "have|got the|my|some|enough|all ..2 PILLS in_front_of|beside|next_to me",
    "save|saving|saved|hoard|hoarding|stockpile|stockpiling|collecting up? my|all|enough|these ..2 PILLS",
    "gun|pistol in my mouth", "put|putting a|the|this gun to my head", "bullet in|through my head|brain",
    "blow|blowing my ..1 brains|head out|off", "rope|belt|cord around my neck",
];

/// What looks like it and is not.
#[rustfmt::skip]
pub(super) const FIGURES: &[&str] = &[
    "TEDIOUS ..6 want it to be over", "massage|glue|nail|heat|nerf|water|tattoo gun",
    "goodbye|farewell letter|letters|note|notes to|for my|the|our ..1 WORKPLACE",
    "suicide squad|bomber|bombers|doors|rate|rates|statistics", "overdose|overdosed|overdosing|od on|of SWEETS",
    "HARM SELF while|when|at|on|from|by|in? i? was|am? the|a|an|my? ACTIVITY",
    "HARM SELF on a|an|the|some|my? broken|rusty|sharp|hot|barbed? THING",
    "cut|cutting SELF some|another|loose|short|free|off", "cut|cutting SELF a|two slice|slices|piece|break|fringe|deal",
    "burn|burning|burned|burnt SELF out", "accidentally|almost_accidentally HARM|poisoned SELF",
    "HARM SELF by_accident|accidentally|by_mistake", "kill|killing|killed SELF laughing|at_the_gym",
    "shoot|shooting|shot SELF in the foot", "drown|drowning|drowned SELF in my? work|paperwork|emails|ice|SWEETS",
    "want|wanted|going to die laughing",
    "die|dying|died of|from laughter|laughing|embarrassment|boredom|curiosity|heat|cuteness|happiness|hunger|thirst|cold",
    "rather|better die|be_dead than !live|living|go|wake|keep|continue|exist|stay|face|be|feel",
    "want|ready to die on this|that|the hill", "cross my heart and hope to die", "what a way to die",
    "dying|die my|her|his ..1 hair|beard|eyebrows|shirt|jeans|dress|wool",
    "want|wanting to live in|at|near|next|on|by !this|that|a_world|pain|misery|fear",
    "want|wanting to live in|at this|that house|flat|city|town|country|place|apartment|village|street|area|dorm|room",
    "want|wanting to live with my|her|him|them|you|people|roommates|strangers|someone|anyone|a",
    "want|wanting to live here|there|abroad|alone|together|apart|far|without|under|close|off|forever",
    "life|living|exist|existing|live without !this|pain|hope",
    "living with|in|at|near|next|here|there|abroad|alone|together|out|by|paycheck !this|it|pain|misery|fear|myself",
    "living in|at this|that house|flat|city|town|country|place|apartment|village|street|area|dorm|room", "living room|rooms|alone|here|abroad|together", "life insurance|coach|hacks|admin|expectancy|sentence|jacket",
    "to wake_up early|at|so|before|you|the|my|him|her|them|late|for|in|every", "not wake up on|early|before|in|late|at",
    "was|were gone for|on|to|shopping", "take|taking|took my life in|into|to|back|seriously|savings",
    "TAKE ..3 PILLS ..2 DAILY", "DAILY ..2 TAKE ..3 PILLS", "TAKE ..3 medicine|medication $",
    "end|ending|ended it with|there|here|by|at", "bungee jump|jumping", "it all at once",
    "death penalty|metal|valley|star|note|row|stranding|trap",
];
