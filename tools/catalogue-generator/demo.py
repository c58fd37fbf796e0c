"""The demo shop: a small household store, every variant priced in EUR with stock of 100 and more."""

import re

CLOTHES = [{"Size": size, "Colour": colour} for colour in ("Navy", "Oat") for size in ("S", "M", "L", "XL")]
COLOURS = [{"Colour": colour} for colour in ("Cream", "Slate", "Moss")]
ONE = [{}]

# Name, kind, vendor, price in cents, what there is to choose, description.
SHOP = [
    ("Harbour Linen Shirt", "Clothing", "Harbour & Sons", 7900, CLOTHES, "A loose shirt of washed European linen with corozo buttons. It softens with every wash and needs no iron."),
    ("Everyday Crew T-Shirt", "Clothing", "Harbour & Sons", 2900, CLOTHES, "Heavy organic cotton, knitted in Portugal, with a collar that keeps its shape."),
    ("Fisherman's Wool Jumper", "Clothing", "Harbour & Sons", 12900, CLOTHES, "Rib-knit merino from a mill that still runs its looms by the river. Warm, dense and hard to wear out."),
    ("Waxed Field Jacket", "Clothing", "Harbour & Sons", 18900, CLOTHES, "Waxed cotton canvas, four deep pockets and a corduroy collar. Rewax once a year and hand it down."),
    ("Canvas Work Apron", "Clothing", "Bright Works", 4500, COLOURS, "Twelve-ounce canvas with cross-back straps, so that nothing pulls at the neck. Two pockets and a towel loop."),
    ("Merino Beanie", "Clothing", "Nordlys", 2800, COLOURS, "Fine merino that does not itch, in a double fold that keeps the wind out."),
    ("Lambswool Scarf", "Clothing", "Nordlys", 5400, COLOURS, "Woven in the Borders from lambswool, long enough to wrap twice."),
    ("Boiled Wool Slippers", "Clothing", "Nordlys", 4900, [{"Size": s} for s in ("37", "39", "41", "43")], "Boiled wool on a natural rubber sole, for cold kitchen floors."),
    ("Cast-Iron Teapot", "Kitchen", "Atelier Marin", 5900, COLOURS, "Holds 0.8 litres and keeps it hot for an hour. Enamelled inside, with a steel basket for loose leaves."),
    ("Stoneware Mug", "Kitchen", "Atelier Marin", 1600, COLOURS, "Thrown by hand, 350 ml, glazed inside and raw outside. Dishwasher safe."),
    ("Stoneware Breakfast Bowl", "Kitchen", "Atelier Marin", 1900, COLOURS, "Wide enough for porridge, deep enough for soup. No two are quite alike."),
    ("Dinner Plate, Set of Four", "Kitchen", "Atelier Marin", 6400, COLOURS, "Four plates of 27 cm with a raised rim that keeps the sauce where it belongs."),
    ("Pour-Over Coffee Set", "Kitchen", "Bright Works", 4200, ONE, "A glass dripper, a 600 ml server and forty unbleached filters."),
    ("Gooseneck Kettle", "Kitchen", "Bright Works", 8900, [{"Colour": "Steel"}, {"Colour": "Black"}], "Pours as slowly as you like. One litre, with a thermometer in the lid."),
    ("Burr Coffee Grinder", "Kitchen", "Bright Works", 7400, ONE, "Hand-cranked, with steel burrs and 18 settings from espresso to French press."),
    ("French Press, 1 l", "Kitchen", "Bright Works", 3900, ONE, "Borosilicate glass in a steel frame, with a double mesh that holds the grounds back."),
    ("Carbon Steel Pan, 28 cm", "Kitchen", "Fernwood", 5600, ONE, "Seasoned in the oven before it leaves us. Gets better with every egg."),
    ("Enamel Casserole, 4 l", "Kitchen", "Fernwood", 11900, COLOURS, "Goes from hob to oven to table. The lid drips back evenly, so that stews stay moist."),
    ("Olive Wood Spoon", "Kitchen", "Fernwood", 1200, ONE, "Cut from prunings, oiled and kind to your pans."),
    ("End-Grain Chopping Board", "Kitchen", "Fernwood", 8400, ONE, "Oak blocks, end grain up: knives stay sharp and marks close again. 40 by 28 cm."),
    ("Chef's Knife, 20 cm", "Kitchen", "Fernwood", 9800, ONE, "Japanese steel, ground thin, on a walnut handle that suits both hands."),
    ("Bread Knife, 24 cm", "Kitchen", "Fernwood", 6900, ONE, "Long waves that saw through a crust and leave the crumb alone."),
    ("Linen Tea Towel, Pair", "Kitchen", "Harbour & Sons", 2400, COLOURS, "Dries glasses without a trace of lint. Two to a pack."),
    ("Oven Glove", "Kitchen", "Harbour & Sons", 1800, COLOURS, "Quilted cotton to the wrist, tested at 200 degrees."),
    ("Spice Tin, Set of Six", "Kitchen", "Bright Works", 2600, ONE, "Airtight tins with a window in the lid, on a magnetic rail."),
    ("Mortar and Pestle", "Kitchen", "Atelier Marin", 3400, ONE, "Four kilos of granite, rough inside, so that it grinds instead of chasing."),
    ("Beeswax Candle, Pair", "Home", "Nordlys", 1900, ONE, "Pure beeswax, poured by hand. Burns for nine hours with the smell of a summer hive."),
    ("Scented Candle", "Home", "Nordlys", 3200, [{"Scent": s} for s in ("Cedar", "Fig", "Sea Salt")], "Rapeseed wax in a reusable glass, forty hours, no soot."),
    ("Wool Throw", "Home", "Nordlys", 9900, COLOURS, "Woven in herringbone from undyed wool, 130 by 180 cm with a short fringe."),
    ("Linen Cushion Cover", "Home", "Harbour & Sons", 3600, COLOURS, "Stonewashed linen with a hidden zip, 50 by 50 cm."),
    ("Feather Cushion Insert", "Home", "Harbour & Sons", 2200, ONE, "Plump, and two sizes too large on purpose: that is what fills the corners."),
    ("Oak Desk Lamp", "Home", "Bright Works", 11400, ONE, "An arm of oak, a shade of spun steel, a dimmer in the cord. Takes any E27 bulb."),
    ("Glass Pendant Light", "Home", "Bright Works", 13900, [{"Colour": c} for c in ("Clear", "Smoke")], "Mouth-blown, 24 cm across, with two metres of fabric cord."),
    ("Wall Clock", "Home", "Fernwood", 6800, [{"Wood": w} for w in ("Oak", "Walnut")], "Turned from one piece. The movement sweeps and does not tick."),
    ("Picture Frame, A4", "Home", "Fernwood", 2700, [{"Wood": w} for w in ("Oak", "Walnut")], "Solid wood and real glass, to hang or to stand."),
    ("Seagrass Basket", "Home", "Fernwood", 3800, [{"Size": s} for s in ("Small", "Large")], "Woven by hand with handles that carry a week's washing."),
    ("Ceramic Vase", "Home", "Atelier Marin", 4400, COLOURS, "A narrow neck that makes three stems look like a bouquet."),
    ("Bath Towel", "Home", "Harbour & Sons", 3400, COLOURS, "600 grams of long-staple cotton that dries you and itself quickly."),
    ("Waffle Hand Towel", "Home", "Harbour & Sons", 1700, COLOURS, "Light, thirsty and prettier with every wash."),
    ("Olive Oil Soap", "Home", "Nordlys", 850, [{"Scent": s} for s in ("Plain", "Lavender", "Rosemary")], "Cured for six weeks. A bar lasts a month in the shower."),
    ("Terracotta Planter", "Garden", "Fernwood", 2900, [{"Size": s} for s in ("14 cm", "18 cm", "24 cm")], "Fired hot enough for frost, with a saucer."),
    ("Brass Plant Mister", "Garden", "Fernwood", 2600, ONE, "A fine mist for ferns and seedlings. Patinates if you let it."),
    ("Copper Watering Can", "Garden", "Fernwood", 7200, ONE, "1.5 litres and a long spout that reaches the back of the sill."),
    ("Hand Trowel", "Garden", "Bright Works", 2300, ONE, "Forged in one piece on an ash handle. It will not bend at the neck."),
    ("Garden Secateurs", "Garden", "Bright Works", 4800, ONE, "Cuts 20 mm cleanly. Every part can be replaced."),
    ("Wildflower Seed Mix", "Garden", "Bright Works", 650, ONE, "Twenty native kinds for ten square metres, from March to October in bloom."),
    ("Gardening Gloves", "Garden", "Bright Works", 2100, [{"Size": s} for s in ("S", "M", "L")], "Goatskin palms, cotton backs, long cuffs against roses."),
    ("Canvas Backpack", "Travel", "Harbour & Sons", 9400, [{"Colour": c} for c in ("Olive", "Charcoal")], "Eighteen litres of waxed canvas with a sleeve for a 15-inch laptop."),
    ("Weekend Bag", "Travel", "Harbour & Sons", 14900, [{"Colour": c} for c in ("Olive", "Charcoal")], "Three days' clothes and a pair of shoes, within every airline's limits."),
    ("Leather Wallet", "Travel", "Atelier Marin", 5800, [{"Colour": c} for c in ("Tan", "Black")], "Vegetable-tanned leather for eight cards and folded notes."),
    ("Steel Water Bottle", "Travel", "Nordlys", 3200, [{"Size": s, "Colour": c} for s in ("500 ml", "750 ml") for c in ("Steel", "Forest")], "Double wall: cold for a day, hot for half of one."),
    ("Packing Cubes, Set of Three", "Travel", "Nordlys", 2900, ONE, "Ripstop nylon with mesh tops, one of each size."),
    ("Wool Travel Blanket", "Travel", "Nordlys", 7900, COLOURS, "Rolls into its own leather strap."),
    ("Dot Grid Notebook", "Office", "Bright Works", 1400, [{"Colour": c} for c in ("Navy", "Sand", "Brick")], "192 pages of paper that takes a fountain pen, bound to lie flat."),
    ("Brass Fountain Pen", "Office", "Atelier Marin", 6200, [{"Nib": n} for n in ("Fine", "Medium")], "Turned from a solid rod, with a steel nib and a converter."),
    ("Pencil Set", "Office", "Bright Works", 1100, ONE, "Twelve cedar pencils from 4H to 6B in a tin."),
    ("Felt Desk Mat", "Office", "Nordlys", 3900, [{"Colour": c} for c in ("Grey", "Black")], "Wool felt on cork, 80 by 30 cm. Quiets the keyboard."),
    ("Walnut Monitor Stand", "Office", "Fernwood", 8900, ONE, "Lifts a screen by 11 cm and hides a keyboard underneath."),
    ("Desk Organiser", "Office", "Fernwood", 4100, [{"Wood": w} for w in ("Oak", "Walnut")], "A slot for the phone, a tray for the rest."),
    ("Tea Sampler", "Food", "Atelier Marin", 2400, ONE, "Six whole-leaf teas, 20 grams each, with a card that says how long to wait."),
    ("Sea Salt Flakes", "Food", "Atelier Marin", 790, ONE, "From a cold coast, dried slowly over birch."),
    ("Wildflower Honey", "Food", "Nordlys", 1150, ONE, "Raw and unblended, 400 grams from one meadow."),
]


def sku_part(text: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "", text.upper())[:6]


def demo_products() -> list[dict]:
    products = []
    for number, (name, kind, vendor, cents, choices, text) in enumerate(SHOP):
        handle = re.sub(r"[^a-z0-9]+", "-", name.lower().replace("'", "")).strip("-")
        products.append({
            "handle": handle, "title": name, "vendor": vendor, "type": kind, "category": "",
            "tags": ", ".join([kind.lower(), vendor.split()[0].lower()]),
            "description": f"<p>{text}</p>", "image": f"https://images.example.test/demo/{handle}.jpg",
            "variants": [
                {"sku": "-".join([f"{kind[:3].upper()}{number + 101}", *map(sku_part, options.values())]),
                 "options": options, "price": f"{cents / 100:.2f}", "quantity": 100 + 10 * ((number + i) % 15)}
                for i, options in enumerate(choices)
            ],
        })
    return products
