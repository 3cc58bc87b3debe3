"""The words of the sample shop: departments, their tastes, and what is sold for each; what people say by stars."""

from collections.abc import Mapping

DEPARTMENTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Kitchen": {
        "Baking": ("Cake Tin", "Whisk", "Rolling Pin", "Mixing Bowl"),
        "Coffee": ("Burr Grinder", "Pour-Over Cone", "Milk Jug", "Espresso Cup"),
        "Boards and Knives": ("Chopping Board", "Paring Knife", "Bread Knife", "Knife Block"),
        "Tea": ("Teapot", "Tea Strainer", "Tea Caddy", "Kettle"),
    },
    "Garden": {
        "Vegetables": ("Seed Tray", "Dibber", "Cold Frame", "Bean Net"),
        "Roses": ("Secateurs", "Thorn Glove", "Trellis", "Rose Feed"),
        "Birds": ("Nest Box", "Suet Feeder", "Bird Bath", "Seed Scoop"),
    },
    "Music": {
        "Guitar": ("Capo", "String Set", "Guitar Strap", "Plectrum Tin"),
        "Piano": ("Metronome", "Piano Lamp", "Score Stand", "Piano Stool"),
        "Vinyl": ("Record Brush", "Slipmat", "Record Crate", "Stylus"),
    },
    "Sports": {
        "Climbing": ("Chalk Bag", "Climbing Rope", "Quickdraw", "Crash Pad"),
        "Swimming": ("Goggles", "Swim Cap", "Kickboard", "Pull Buoy"),
        "Cycling": ("Bar Tape", "Track Pump", "Saddle Bag", "Bike Light"),
        "Running": ("Running Belt", "Head Torch", "Foam Roller", "Trail Gaiter"),
    },
    "Craft": {
        "Knitting": ("Knitting Needle", "Wool Winder", "Stitch Marker", "Blocking Mat"),
        "Pottery": ("Loop Tool", "Glaze Brush", "Banding Wheel", "Clay Wire"),
        "Bookbinding": ("Bone Folder", "Awl", "Linen Thread", "Book Press"),
        "Watercolour": ("Sable Brush", "Paint Box", "Paper Block", "Water Pot"),
    },
    "Home": {
        "Lamps": ("Desk Lamp", "Lamp Shade", "Night Light", "Lantern"),
        "Bath": ("Soap Dish", "Bath Mat", "Loofah", "Towel Rail"),
        "Writing": ("Fountain Pen", "Ink Bottle", "Notebook", "Pen Roll"),
        "Puzzles": ("Jigsaw", "Puzzle Mat", "Burr Puzzle", "Sorting Tray"),
        "Candles": ("Beeswax Candle", "Snuffer", "Wick Trimmer", "Candle Mould"),
        "Camping": ("Camp Stove", "Sleeping Mat", "Mess Tin", "Tarp"),
    },
}
STYLES = ("Walnut", "Copper", "Slate", "Linen", "Cork", "Enamel", "Birch", "Brass", "Indigo", "Olive", "Marble", "Ash")
SHOPS = ("Harrow & Finch", "Oldmill", "Tern Supply", "Quarry Lane", "Fennel Works", "Northgate", "Pell & Sons")
OPINIONS: Mapping[int, tuple[str, str]] = {
    1: ("Broke at once", "The {noun} came apart in the first week. Sent it back."),
    2: ("Not for me", "I had hoped for more from this {noun}. It feels thinner than it looks."),
    3: ("Does the job", "A plain {noun}. Nothing wrong with it, nothing special either."),
    4: ("Very good", "Good {noun} for the money. I use it most weeks."),
    5: ("Just right", "The best {noun} I have had. Sturdy, and a pleasure to use."),
}
GENDERS = ("F", "M")
OCCUPATIONS = ("librarian", "engineer", "student", "doctor", "artist", "retired", "writer", "other")
FIRST_NAMES = ("Ada", "Ben", "Chloé", "Dev", "Ewa", "Finn", "Grace", "Hugo", "Inès", "Jo")
