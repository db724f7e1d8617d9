"""Common English words by category, opposites, and the everyday sentences that carry them."""

from __future__ import annotations

CATEGORIES: dict[str, list[str]] = {
    "animal": "dog cat horse cow sheep goat pig hen duck goose rabbit mouse fox wolf bear deer owl eagle frog snake bee ant fish whale seal otter donkey camel lion tiger".split(),
    "food": "bread cheese butter soup rice pasta apple pear plum cherry carrot onion potato cabbage bean egg honey jam cake pie salad pepper garlic mushroom lemon orange nut biscuit sausage pancake".split(),
    "tool": "hammer saw drill spade rake axe knife wrench chisel brush ladder rope nail screw pliers shovel file needle scissors bucket broom mop trowel crowbar".split(),
    "clothing": "coat hat shirt scarf glove boot shoe sock jacket dress skirt belt cap sweater vest apron suit tie sandal slipper trousers cardigan".split(),
    "furniture": "table chair bed desk sofa shelf cupboard bench stool wardrobe lamp mirror carpet curtain cabinet drawer bookcase cradle armchair".split(),
    "vehicle": "car bus train bicycle lorry boat ship ferry tram taxi van tractor plane helicopter motorbike canoe sledge wagon scooter truck".split(),
    "colour": "red blue green yellow black white brown grey pink purple orange silver golden violet turquoise crimson".split(),
    "weather": "rain snow wind fog hail thunder sunshine frost storm drizzle mist lightning breeze blizzard sleet".split(),
    "instrument": "piano violin guitar flute drum trumpet harp cello organ clarinet banjo trombone oboe accordion fiddle".split(),
    "profession": "baker doctor teacher farmer nurse lawyer painter driver plumber carpenter engineer gardener tailor clerk pilot sailor chemist dentist judge writer librarian potter smith cook".split(),
    "body": "hand foot arm leg head knee elbow shoulder finger toe nose ear eye neck back ankle wrist chin".split(),
    "plant": "oak pine birch rose tulip daisy fern moss ivy willow maple lily clover nettle thistle bamboo reed heather".split(),
    "equipment": "printer laptop monitor keyboard phone scanner router cable projector charger screen modem headset server tablet mouse".split(),
    "room": "kitchen cellar attic hall office bathroom bedroom garage library corridor pantry lobby workshop balcony".split(),
}

OPPOSITES = [
    tuple(p.split("/"))
    for p in (
        "hot/cold big/small fast/slow high/low old/new light/dark open/closed full/empty wet/dry hard/soft early/late rich/poor "
        "strong/weak loud/quiet clean/dirty near/far up/down left/right day/night first/last win/lose buy/sell push/pull give/take "
        "start/stop long/short wide/narrow thick/thin happy/sad good/bad true/false inside/outside above/below before/after "
        "summer/winter love/hate young/aged sweet/bitter smooth/rough sharp/blunt deep/shallow heavy/weightless north/south east/west "
        "arrive/leave remember/forget laugh/cry rise/fall safe/dangerous cheap/dear"
    ).split()
]

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
COUNTRIES = "Norway Spain Peru Japan Egypt Canada Ireland Greece Chile Kenya Poland Turkey India Brazil Iceland Portugal".split()
NONSENSE_LABELS = (
    "zan mip tor wex lum qua bof dax kel nim pru sov tig ulm yat rix gop hef jub vok alpha beta gamma delta north south "
    "first second left right one two red blue yes no up down A B C D X Y Z P Q K1 K2 K3 T4 R7 class-a class-b class-c group1 group2 "
    "group3 high low in out keep drop"
).split()

ADJECTIVES = "small large old new quiet bright plain heavy narrow wide warm cold clean broken useful strange pretty simple rough smooth".split()

SCENES = (
    "The {a} stood near the {b} for most of the {time}.",
    "Somebody left a {a} beside the {b} on {day}.",
    "In {month} the {a} was moved next to the {b}.",
    "{first} wanted a {a}, but found only a {b}.",
    "A {adj} {a} and a {adj2} {b} were all that remained.",
    "{first} asked {first2} about the {a} and heard a story about a {b}.",
    "There was no {a} in the {room}, so {first} looked for it in the {room2}.",
    "On {day} {first} and {first2} carried the {a} through the {room}.",
    "The {adj} {a} belonged to a {profession} from {country}.",
    "By {day} evening the {b} was gone and the {a} was still there.",
    "{first} likes the {a} more than the {b}, although the {b} is {adj}.",
    "When the {weather} came, {first} took the {a} into the {room}.",
    '"Is that your {a}?" asked {first}. "No," said {first2}, "mine is {adj}."',
    "Every {day} the {profession} cleans the {a} and checks the {b}.",
    "It took {first} until {month} to mend the {a}.",
    "Nobody in {country} had seen such a {adj} {b} before.",
)
TIMES = "morning afternoon evening night week summer winter year".split()
