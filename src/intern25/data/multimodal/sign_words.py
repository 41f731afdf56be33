# SPDX-License-Identifier: MIT
"""Vocabulary of signs, shops and streets in English and Chinese, and the frequent Chinese characters."""

from __future__ import annotations

from functools import cache

from intern25.data.class_names import class_names


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SIGN_WORDS = _words(
    """
    open closed exit entrance sale hotel motel inn bar pub grill cafe coffee tea bakery pizza burger burgers
    sushi noodle kitchen restaurant diner buffet lounge club bistro market supermarket store shop mart mall
    center centre plaza square tower house home office bank atm cash credit loan tax insurance law clinic
    hospital pharmacy drugs dental health care fitness gym yoga spa salon hair beauty nails barber cleaners
    laundry tailor shoes boots fashion boutique clothing jewelry watches optical eyewear toys books gifts
    cards flowers florist garden pets vet animal hardware tools paint lumber electric electronics computer
    mobile phone wireless video photo camera music guitar piano studio theatre theater cinema movie museum
    gallery art library school college university academy institute church temple street st avenue ave road
    rd lane drive boulevard blvd highway hwy route exit north south east west central park parking garage
    valet towing no stop yield slow caution warning danger keep out private property trespassing smoking
    entry only way one two right left turn ahead merge school bus taxi cab train station metro airport gate
    terminal platform ticket tickets information info restrooms men women push pull please thank you welcome
    free new best big little old great super mega royal golden king queen star sun moon sky blue red green
    black white silver first national american city county state united general police fire emergency
    department service services auto car cars truck tire tires oil lube brake repair body glass wash rental
    rent lease for the and of to in on at by with all your our we are now here today daily hours monday
    friday saturday sunday am pm call visit www com net org inc ltd co company group international world
    global express speed fast food foods fresh organic natural juice ice cream chocolate candy cake bread
    wine beer spirits liquor cold hot drinks water milk cheese meat fish seafood chicken steak rice curry
    spicy delicious lunch dinner breakfast brunch menu special price prices off discount save deal half
    real estate agent realty homes apartments condos building floor level room suite basement lobby
    elevator stairs hall arena stadium field court pool beach lake river bridge bay island hill valley
    mountain forest village town port harbor pier dock yacht boat ship sports golf tennis soccer football
    baseball hockey racing bike bikes cycle motor power energy gas petrol diesel self full serve pump
    """
)
"""English words of signs, lower case."""

SIGN_WORDS_ZH = _words(
    """
    超市 商店 便利店 饭店 酒店 宾馆 旅馆 餐厅 餐馆 火锅 烧烤 面馆 小吃 早餐 快餐 茶楼 奶茶 咖啡 面包
    蛋糕 水果 蔬菜 粮油 烟酒 药店 药房 医院 诊所 口腔 眼镜 美容 美发 理发 服装 鞋店 箱包 珠宝 黄金 手机
    电脑 数码 家电 家具 建材 五金 灯饰 窗帘 装饰 装修 广告 图文 打印 复印 照相 摄影 婚纱 鲜花 礼品 文具
    书店 玩具 母婴 幼儿园 小学 中学 大学 学院 银行 保险 证券 邮局 快递 物流 公司 集团 中心 广场 大厦
    大楼 公寓 小区 花园 公园 广告 出租 招租 转让 停车场 停车 加油站 洗车 汽修 汽车 维修 轮胎 驾校 地铁
    车站 机场 公交 火车站 码头 出口 入口 安全出口 洗手间 卫生间 男 女 禁止吸烟 小心地滑 请勿入内
    欢迎光临 营业中 暂停营业 大减价 清仓 特价 打折 优惠 开业 正宗 老字号 特色 风味 家常菜 川菜 湘菜 粤菜
    东北菜 兰州拉面 沙县小吃 重庆小面 麻辣烫 酸菜鱼 烤鸭 包子 饺子 馄饨 米粉 凉皮 豆浆 油条 煎饼 羊肉
    牛肉 海鲜 龙虾 炸鸡 披萨 寿司 网吧 宾馆 浴室 足疗 按摩 棋牌 健身 瑜伽 舞蹈 钢琴 琴行 培训 教育 英语
    律师 房产 中介 旅行社 彩票 干洗 裁缝 修鞋 配钥匙
    """
)
"""Words of Chinese signs."""

PLACES_ZH = _words(
    """
    北京 上海 天津 重庆 广州 深圳 杭州 南京 武汉 成都 西安 长沙 郑州 济南 青岛 大连 沈阳 哈尔滨 长春
    石家庄 太原 合肥 福州 厦门 南昌 昆明 贵阳 南宁 海口 三亚 兰州 西宁 银川 乌鲁木齐 拉萨 呼和浩特 苏州
    无锡 宁波 温州 东莞 佛山 珠海 桂林 洛阳 人民 中山 解放 建设 和平 胜利 新华 光明 东风 长江 黄河 泰山
    华山 南湖 西湖 东湖 北山 文化 科技 工业 学府 朝阳 海淀 浦东
    """
)
"""Names of places and streets."""

STREETS_ZH = (
    "路",
    "街",
    "大道",
    "大街",
    "巷",
    "东路",
    "西路",
    "南路",
    "北路",
    "中路",
    "桥",
    "村",
    "镇",
    "站",
)
"""What comes after the name of a street or place."""

SURNAMES_ZH = tuple(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁"
)
"""Family names, which shops are often called by."""

PROVINCES_ZH = tuple("京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新")
"""First character of number plates."""

FREQUENT_ZH = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后"
    "作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因"
    "只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应"
    "战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿"
    "原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太"
    "量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界"
    "达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今"
    "切院让识候带导争运笔"
)
"""Frequent Chinese characters."""


@cache
def english_words() -> tuple[str, ...]:
    """Words of signs, and the words of the class names that the package knows; lower case, letters only.

    The words of signs are there four times, so that nearly half of all draws are among them.
    """
    names = [name for table in ("openimages", "lvis", "imagenet_1k") for name in class_names(table).en]
    words = {word.lower() for name in names for word in name.split() if word.isascii() and word.isalpha()}
    return (*SIGN_WORDS * 4, *sorted(word for word in words if 2 <= len(word) <= 12))


@cache
def chinese_words() -> tuple[str, ...]:
    """Words of signs, and the class names that the package knows, up to six characters."""
    names = {name for table in ("openimages", "lvis", "imagenet_1k") for name in class_names(table).zh}
    short = (name for name in names if len(name) <= 6 and all("\u4e00" <= char <= "\u9fff" for char in name))
    return (*SIGN_WORDS_ZH, *sorted(short))


@cache
def level_one_characters() -> str:
    """The 3,755 characters of level 1 of GB 2312, rows 16 to 55."""
    rows = (bytes((row, column)) for row in range(0xB0, 0xD8) for column in range(0xA1, 0xFF))
    return "".join(code.decode("gb2312", "ignore") for code in rows)
